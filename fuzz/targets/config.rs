//! Settings: the operator's file and variables, and the `modelcell.toml` of an artifact.
//!
//! An input is the text of either file; what follows a zero byte is the environment, `NAME=VALUE` in
//! lines.

#![no_main]

use std::fs;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use modelcell::access::Keys;
use modelcell::config::{EndpointSettings, Options, Settings};
use modelcell::load::settings::{ArtifactSettings, SETTINGS_FILE};
use modelcell::sandbox::Isolation;
use modelcell_fuzz::{Capped, check_line};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: Capped<{ 16 << 20 }> = Capped;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An artifact of which all but the settings is missing.
static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let env = String::from_utf8_lossy(parts.next().unwrap_or_default());
    fs::write(DIR.path().join(SETTINGS_FILE), text).unwrap();
    check_options(&env);
    if let Err(error) = Keys::parse(&String::from_utf8_lossy(text)) {
        check_line(&error);
    }
    check_artifact();
});

fn check_options(env: &str) {
    let options = match Options::read(&DIR.path().join(SETTINGS_FILE)) {
        Ok(options) => options,
        Err(error) => return check_line(&error),
    };
    // Flags and files go together without loss.
    let written = format!("{options:?}");
    for both in [
        options.clone().or(Options::default()),
        Options::default().or(options.clone()),
    ] {
        assert_eq!(format!("{both:?}"), written);
    }
    let lookup = |name: &str| {
        let find = |line: &str| {
            line.strip_prefix(name)?
                .strip_prefix('=')
                .map(str::to_owned)
        };
        env.lines().find_map(find)
    };
    match options.resolve(&lookup) {
        Ok(settings) => check_settings(&settings),
        Err(error) => check_line(&error),
    }
}

fn check_settings(settings: &Settings) {
    let within = |what: &str, value: u64, range: RangeInclusive<u64>| {
        assert!(range.contains(&value), "{what}: {value}");
    };
    within("memory-budget", settings.memory_budget, 16 << 20..=u64::MAX);
    let budgets = settings.default_endpoint.iter().chain(&settings.endpoints);
    let together = budgets
        .map(|endpoint| u128::from(endpoint.memory_budget))
        .sum::<u128>();
    assert!(together <= u128::from(settings.memory_budget), "{together}");
    within(
        "disk-budget",
        settings.disk_budget.unwrap_or(u64::MAX),
        16 << 20..=u64::MAX,
    );
    for count in [
        settings.max_connections,
        settings.max_requests,
        settings.max_cells,
    ] {
        within("a count", count as u64, 1..=1_000_000);
    }
    assert!(!settings.drain_timeout.is_zero() && settings.drain_timeout <= DAY);
    for endpoint in settings.default_endpoint.iter().chain(&settings.endpoints) {
        check_endpoint(endpoint, settings.request_memory);
    }
}

fn check_endpoint(settings: &EndpointSettings, request_memory: u64) {
    let within = |what: &str, value: u64, range: RangeInclusive<u64>| {
        assert!(range.contains(&value), "{what}: {value}");
    };
    let limits = &settings.limits;
    within("max-body", settings.max_body, 1..=1 << 30);
    within(
        "request-memory",
        request_memory,
        settings.max_body..=u64::MAX,
    );
    within("memory-budget", settings.memory_budget, 16 << 20..=u64::MAX);
    within("max-unpacked", limits.unpack.total_bytes, 1..=1 << 40);
    within("cell-memory", limits.cell_memory as u64, 1 << 20..=4 << 30);
    within("max-response", limits.transfer as u64, 64 << 10..=1 << 30);
    within("guest-log", limits.guest_log as u64, 0..=1 << 30);
    for count in [settings.max_requests, limits.unpack.entries, limits.cells] {
        within("a count", count as u64, 1..=1_000_000);
    }
    for time in [
        limits.request_timeout,
        limits.hook_timeout,
        limits.load_timeout,
    ] {
        assert!(!time.is_zero() && time <= DAY, "{time:?}");
    }
    assert!(settings.min_residency.max(settings.revalidate_after) <= DAY);
    if let Some(repository) = &settings.repository {
        within("downloads", repository.downloads as u64, 1..=1_000_000);
    }
    assert!(settings.pins.is_empty() || settings.repository.is_some());
}

/// An artifact gets what the operator allows, or less.
fn check_artifact() {
    let settings = match ArtifactSettings::read(DIR.path()) {
        Ok(settings) => settings,
        Err(error) => return check_line(&error),
    };
    let (bytes, time) = (512 << 20, Duration::from_secs(60));
    assert!((1 << 20..=bytes).contains(&settings.cell_memory(bytes)));
    assert!(settings.transfer(bytes) <= bytes);
    assert!(settings.hook_timeout(time) <= time);
    assert!(settings.request_timeout(time) <= time);
    assert!((1..=4).contains(&settings.cells(4)));
    assert_eq!(settings.isolation(Isolation::Request), Isolation::Request);
    assert!(settings.isolation(Isolation::Model) >= Isolation::Model);
}
