//! What no signer sends ends in a refusal, whatever it is, and never in a panic.

use super::forms::{SIGNATURE, authorized, header, scope};
use super::{ID, NOW, keys};

/// Knuth's generator; its high bits are the good ones.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }

    fn printable(&mut self) -> u8 {
        32 + self.below(95) as u8
    }

    /// Pieces of the header in any order.
    fn pieces(&mut self) -> String {
        let scope = scope();
        let pieces = [
            "AWS4-HMAC-SHA256",
            "Credential=",
            "SignedHeaders=",
            "Signature=",
            ",",
            ", ",
            " ",
            "=",
            "/",
            ";",
            "host",
            "x-amz-date",
            &scope,
            ID,
            "sagemaker",
            "aws4_request",
            "20261122",
            SIGNATURE,
            "Bearer",
            "\t",
            "%",
            "~",
            "é",
        ];
        let count = self.below(16);
        (0..count)
            .map(|_| pieces[self.below(pieces.len())])
            .collect()
    }

    /// The header with some characters changed, added or cut off.
    fn changed(&mut self) -> String {
        let mut bytes = header(&scope(), "host;x-amz-date").into_bytes();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(3) {
                0 => bytes[at] = self.printable(),
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, self.printable()),
            }
        }
        String::from_utf8(bytes).unwrap()
    }
}

#[test]
fn random_headers_are_refused() {
    let keys = keys();
    let mut random = Random(1);
    for round in 0..20_000 {
        let authorization = if round % 2 == 0 {
            random.pieces()
        } else {
            random.changed()
        };
        let mut wire = authorized(&authorization);
        if round % 5 == 0 {
            let mut date = wire.get("x-amz-date").to_owned().into_bytes();
            date[random.below(16)] = random.printable();
            wire.set("x-amz-date", &String::from_utf8(date).unwrap());
        }
        let text = wire.check_at(&keys, NOW).unwrap_err().to_string();
        assert!(
            !text.is_empty() && text.bytes().all(|byte| (32..127).contains(&byte)),
            "{text}"
        );
    }
}
