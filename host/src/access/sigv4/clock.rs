//! When a request was signed.

use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use hyper::header::{DATE, HeaderMap};

use super::headers::{SignedHeaders, twice};
use crate::access::denied::{Denied, shown};

/// How many seconds a caller's clock may be off.
const SKEW: i64 = 5 * 60;

/// The time of a signature, to the second.
pub struct Date {
    seconds: i64,
    /// As in `20261122T214448Z`.
    stamp: String,
}

impl Date {
    /// The time in `x-amz-date`, or else in `date`, which must be signed.
    pub fn of(headers: &HeaderMap, signed: &SignedHeaders<'_>) -> Result<Self, Denied> {
        let name = if headers.contains_key("x-amz-date") {
            "x-amz-date"
        } else {
            DATE.as_str()
        };
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else {
            return Err(Denied::Incomplete(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
                    .into(),
            ));
        };
        if values.next().is_some() {
            return Err(twice(name));
        }
        if !signed.has(name) {
            return Err(Denied::Invalid(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
        let text = value.to_str().unwrap_or_default().trim();
        let date = basic(text).or_else(|| if name == "date" { http(text) } else { None });
        date.ok_or_else(|| {
            Denied::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'. See \
                 http://en.wikipedia.org/wiki/ISO_8601",
                shown(text)
            ))
        })
    }

    /// Refuses a credential of another day.
    pub fn check_scope(&self, day: &str) -> Result<(), Denied> {
        if day == self.day() {
            return Ok(());
        }
        Err(Denied::Invalid(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{}' != '{}', from '{}'.",
            shown(day),
            self.day(),
            self.stamp
        )))
    }

    /// Refuses a request that was signed more than five minutes ago or ahead.
    pub fn check_clock(&self, now: SystemTime) -> Result<(), Denied> {
        let now = DateTime::from(now).secs();
        let stamp = |seconds| stamp(DateTime::from_secs(seconds)).unwrap_or_default();
        let bound = |bound, sign| format!("{} ({} {sign} 5 min.)", stamp(bound), stamp(now));
        let (oldest, newest) = (now.saturating_sub(SKEW), now.saturating_add(SKEW));
        if self.seconds < oldest {
            let bound = bound(oldest, '-');
            let what = format!(
                "Signature expired: {} is now earlier than {bound}",
                self.stamp
            );
            return Err(Denied::Invalid(what));
        }
        if self.seconds > newest {
            let bound = bound(newest, '+');
            let what = format!(
                "Signature not yet current: {} is still later than {bound}",
                self.stamp
            );
            return Err(Denied::Invalid(what));
        }
        Ok(())
    }

    /// As in `20261122T214448Z`.
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    /// As in `20261122`.
    pub fn day(&self) -> &str {
        self.stamp.get(..8).unwrap_or_default()
    }

    pub fn time(&self) -> SystemTime {
        let seconds = u64::try_from(self.seconds).unwrap_or_default();
        let since = Duration::from_secs(seconds);
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// A date such as `20261122T214448Z`.
fn basic(text: &str) -> Option<Date> {
    let digits = text.strip_suffix('Z')?.replacen('T', "", 1);
    if text.len() != 16 || text.find('T') != Some(8) {
        return None;
    }
    let part = |range| digits.get(range).unwrap_or_default();
    let [year, month, day] = [part(0..4), part(4..6), part(6..8)];
    let [hour, minute, second] = [part(8..10), part(10..12), part(12..14)];
    let long = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    from_time(DateTime::from_str(&long, Format::DateTime).ok()?)
}

/// A date as HTTP has it, and as e-mail has it, which botocore signs where there is a `Date`.
fn http(text: &str) -> Option<Date> {
    let offset = ["-0000", "+0000"]
        .iter()
        .find_map(|zone| text.strip_suffix(zone));
    let gmt = offset.map(|start| format!("{start}GMT"));
    let time = DateTime::from_str(gmt.as_deref().unwrap_or(text), Format::HttpDate).ok()?;
    from_time(DateTime::from_secs(time.secs()))
}

fn from_time(time: DateTime) -> Option<Date> {
    // Before 1970 there was nobody to sign.
    let seconds = Some(time.secs()).filter(|seconds| *seconds >= 0)?;
    let stamp = stamp(time)?;
    (stamp.len() == 16).then_some(Date { seconds, stamp })
}

fn stamp(time: DateTime) -> Option<String> {
    let text = time.fmt(Format::DateTime).ok()?;
    Some(text.replace(['-', ':'], ""))
}
