//! Mutates a component section by section, so that lengths stay right: bytes changed anywhere mostly
//! end in a section that does not fit, and never get beyond the parser.

use libfuzzer_sys::fuzzer_mutate;

const HEADER: usize = 8;

/// The sections of a component that hold a binary of their own: core modules and components.
const NESTED: [u8; 2] = [1, 4];

struct Section<'a> {
    id: u8,
    body: &'a [u8],
}

/// A mutation of `data[..size]` in place, of at most `max` bytes. Returns its length.
pub fn mutate(data: &mut [u8], size: usize, max: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) | 1);
    let mutated = match dice.roll(8) {
        0 => None,
        _ => data.get(..size).and_then(|old| changed(old, &mut dice)),
    };
    match mutated {
        Some(new) if new.len() <= max && new.len() <= data.len() => {
            data[..new.len()].copy_from_slice(&new);
            new.len()
        }
        _ => fuzzer_mutate(data, size, max),
    }
}

fn changed(binary: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut sections = sections(binary)?;
    let is_component = binary.get(4) == Some(&0x0d);
    let place = dice.roll(sections.len());
    let section = sections.get(place)?;
    let (id, body) = (section.id, section.body);
    let nested = is_component && NESTED.contains(&id) && dice.roll(8) > 0;
    let new = match nested {
        true => changed(body, dice),
        false => None,
    };
    match (new, dice.roll(8)) {
        (Some(new), _) => Some(joined(binary, &sections, place, Section { id, body: &new })),
        (None, 0) => {
            sections.remove(place);
            Some(whole(binary, &sections))
        }
        (None, 1) => {
            let again = Section { id, body };
            sections.insert(dice.roll(sections.len() + 1), again);
            Some(whole(binary, &sections))
        }
        (None, 2) => {
            let other = dice.roll(sections.len());
            sections.swap(place, other);
            Some(whole(binary, &sections))
        }
        (None, _) => {
            let mut new = body.to_vec();
            new.resize(body.len() + 64, 0);
            let max = new.len();
            let len = fuzzer_mutate(&mut new, body.len(), max);
            new.truncate(len);
            Some(joined(binary, &sections, place, Section { id, body: &new }))
        }
    }
}

/// The binary with `new` in the place of one of its sections.
fn joined(binary: &[u8], sections: &[Section<'_>], place: usize, new: Section<'_>) -> Vec<u8> {
    let (before, after) = sections.split_at(place);
    let mut out = binary[..HEADER].to_vec();
    for section in before.iter().chain([&new]).chain(&after[1..]) {
        put(&mut out, section);
    }
    out
}

fn whole(binary: &[u8], sections: &[Section<'_>]) -> Vec<u8> {
    let mut out = binary[..HEADER].to_vec();
    for section in sections {
        put(&mut out, section);
    }
    out
}

fn put(out: &mut Vec<u8>, section: &Section<'_>) {
    out.push(section.id);
    let mut length = section.body.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(section.body);
}

/// The sections of a binary; none if it is not made of any.
fn sections(binary: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut rest = binary.strip_prefix(b"\0asm")?.get(4..)?;
    let mut sections = Vec::new();
    while let [id, tail @ ..] = rest {
        let (length, tail) = leb(tail)?;
        let (body, tail) = tail.split_at_checked(length)?;
        sections.push(Section { id: *id, body });
        rest = tail;
    }
    (!sections.is_empty()).then_some(sections)
}

fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

/// Xorshift: the same seed rolls the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides.max(1)
    }
}
