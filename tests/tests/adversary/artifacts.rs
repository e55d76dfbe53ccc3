//! Components that are too much, or no components any more, and compiled code that somebody changed.

use std::fs;
use std::path::Path;

use modelcell_tests::artifact::{artifact, guest, misbehave_reused};
use modelcell_tests::bystander::{GOOD, unharmed, with_good};
use modelcell_tests::component::{component, wat_text};
use modelcell_tests::manage::until_frozen;
use modelcell_tests::{eventually, files_in};

use super::{BAD, ENDED, INVALID, MEMORY, cannot_be_loaded, text_artifact};

/// The guest that behaves, and beside it `extra` in its component.
fn sound_with(extra: &str) -> Vec<u8> {
    let text = wat_text("sound");
    let (head, rest) = text.split_once("(core module $guest-module").unwrap();
    text_artifact(&format!("{head}{extra}\n(core module $guest-module{rest}"))
}

/// A component in a component in a component.
fn nested_components(depth: usize) -> Vec<u8> {
    let head = b"\0asm\x0d\0\x01\0";
    // From the inside out; the outermost one comes first in the file.
    let mut heads = vec![head.to_vec()];
    let mut length = head.len();
    for _ in 0..depth {
        let mut outer = [&head[..], &[4]].concat();
        let mut rest = length;
        while rest >= 0x80 {
            outer.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        outer.push(rest as u8);
        length += outer.len();
        heads.push(outer);
    }
    heads.reverse();
    heads.concat()
}

/// Ten components in each of ten components in each of ten, so many times; the innermost ones have a
/// core instance.
fn instances_in_instances(times: usize) -> String {
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))\n".to_owned();
    for depth in 1..=times {
        let ten = "(instance (instantiate $inner))".repeat(10);
        let inner = format!("(alias outer 1 $c{} (component $inner))", depth - 1);
        text.push_str(&format!("(component $c{depth} {inner} {ten})\n"));
    }
    text + &format!("(instance (instantiate $c{times}))")
}

/// A kilobyte that stands for a billion instances, and a megabyte of which each byte counts for all
/// that follow.
#[test]
fn components_that_compile_without_end() {
    let server = with_good(&[
        ("billions.tar.gz", sound_with(&instances_in_instances(9))),
        ("deep.tar.gz", artifact(&nested_components(100_000), &[])),
    ]);
    let server = server.flags(&["--load-timeout", "10s"]).start();
    unharmed(&server, || {
        for name in ["billions.tar.gz", "deep.tar.gz"] {
            let status = server.invoke(name, "").status;
            assert!([400, 504, 507].contains(&status), "{name}: {status}");
        }
    });
}

#[test]
fn components_that_ask_for_too_much() {
    let empty = "(core module $empty)\n";
    let instances = |number| {
        format!(
            "{empty}{}",
            "(core instance (instantiate $empty))\n".repeat(number)
        )
    };
    let memory = |number| {
        let instance = "(core instance (instantiate $memory))\n";
        format!(
            "(core module $memory (memory 0))\n{}",
            instance.repeat(number)
        )
    };
    let table = "(core module $t (table 100000000 funcref)) (core instance (instantiate $t))";
    let large = "(core module $m (memory 65536)) (core instance (instantiate $m))";
    let shared = "(core module $m (memory 1 65536 shared)) (core instance (instantiate $m))";
    let refused = [
        (
            "5000 instances",
            sound_with(&instances(5000)),
            INVALID,
            "instances",
        ),
        (
            "300 instances",
            sound_with(&instances(300)),
            ENDED,
            "instance",
        ),
        (
            "nested instances",
            sound_with(&instances_in_instances(4)),
            ENDED,
            "instance",
        ),
        (
            "nested components",
            artifact(&nested_components(5000), &[]),
            INVALID,
            "levels of nesting",
        ),
        ("20 memories", sound_with(&memory(20)), ENDED, "memor"),
        ("a large table", sound_with(table), ENDED, "table"),
        ("a memory of 4 GiB", sound_with(large), MEMORY, "512.0 MiB"),
        ("a shared memory", sound_with(shared), INVALID, "shared"),
    ];
    let server = with_good(&[]).start();
    unharmed(&server, || {
        for (what, bad, kind, part) in refused {
            println!("{what}");
            let name = format!("{}.tar.gz", what.replace(' ', "-"));
            server.add(&name, bad);
            cannot_be_loaded(&server, &name, kind, &[part]);
        }
    });
}

/// xorshift: the same numbers in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

#[test]
fn components_cut_flipped_and_random() {
    // A small one, so that many can be tried.
    let sound = component(&wat_text("sound"));
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut damaged = Vec::new();
    for cut in 0..40 {
        damaged.push(sound[..sound.len() * cut / 40].to_vec());
    }
    for _ in 0..120 {
        let mut flipped = sound.clone();
        flipped[numbers.below(sound.len())] ^= 1 << numbers.below(8);
        damaged.push(flipped);
    }
    for _ in 0..20 {
        let mut random = sound[..8].to_vec();
        random.extend((0..500).map(|_| numbers.next() as u8));
        damaged.push(random);
    }
    let cache = tempfile::tempdir().unwrap();
    let server = with_good(&[])
        .cache(cache.path())
        .flags(&["--load-timeout", "30s"])
        .start();
    let mut refused = 0;
    unharmed(&server, || {
        for (number, component) in damaged.iter().enumerate() {
            let name = format!("{number}.tar.gz");
            server.add(&name, artifact(component, &[]));
            let reply = server.invoke(&name, "");
            match reply.status {
                // A bit that changes nothing that matters.
                200 => server.delete(&format!("/models/{name}")).ok(),
                // What still is a component may do anything but harm.
                500 => reply.error(500, "ModelError", &["was ended"]),
                507 => reply.error(507, "OutOfMemoryError", &["512.0 MiB"]),
                _ => {
                    refused += 1;
                    reply.error(400, "InvalidModelException", &["component"])
                }
            };
        }
    });
    assert!(
        refused > damaged.len() / 2,
        "{refused} of {}",
        damaged.len()
    );
}

/// An artifact whose cells are reused.
fn reused(text: &str) -> Vec<u8> {
    artifact(
        &component(text),
        &[("modelcell.toml", b"isolation = 'model'")],
    )
}

/// While the server runs and has other code of the same directory in use.
#[test]
fn compiled_code_that_was_tampered_with() {
    let cache = tempfile::tempdir().unwrap();
    let code = cache.path().join("code");
    // Components that are compiled in one form only.
    let models = [
        (BAD, misbehave_reused("ok")),
        ("sound.tar.gz", reused(&wat_text("sound"))),
    ];
    let server = with_good(&models).cache(cache.path()).start();
    server.invoke(GOOD, "5.1,3.5,1.4,0.2");
    until_frozen(&server, GOOD);
    let code_files = || [files_in(&code, ".cwasm"), files_in(&code, ".sha256")].concat();
    let good = code_files();
    server.invoke("sound.tar.gz", "").ok();
    let ours: Vec<_> = code_files()
        .into_iter()
        .filter(|file| !good.contains(file))
        .collect();
    let [body, seal] = &ours[..] else {
        panic!("{ours:?}")
    };
    server.invoke(BAD, "").ok();
    let others: Vec<_> = code_files()
        .into_iter()
        .filter(|file| !good.contains(file) && !ours.contains(file))
        .collect();
    let sound = fs::read(body).unwrap();
    let tampered: [(&str, &dyn Fn()); 5] = [
        ("a flipped bit", &|| {
            let mut flipped = sound.clone();
            flipped[sound.len() / 2] ^= 1;
            replace(body, &flipped);
        }),
        ("code of another component", &|| {
            replace(body, &fs::read(&others[0]).unwrap())
        }),
        ("code of another component, with its digest", &|| {
            replace(body, &fs::read(&others[0]).unwrap());
            replace(seal, &fs::read(&others[1]).unwrap());
        }),
        ("more behind it", &|| {
            replace(body, &[&sound[..], b"more"].concat())
        }),
        ("random bytes", &|| replace(body, &guest("misbehave"))),
    ];
    let loaded = |how: &str| {
        server
            .log()
            .lines_with(&["loaded", "sound.tar.gz", how])
            .len()
    };
    let reload = || {
        server.delete("/models/sound.tar.gz").ok();
        assert_eq!(server.invoke("sound.tar.gz", "").ok(), "ok");
    };
    unharmed(&server, || {
        for (what, tamper) in tampered {
            println!("{what}");
            let (compiled, cached) = (loaded("code=Compiler"), loaded("code=Cache"));
            tamper();
            reload();
            eventually("it is compiled", || loaded("code=Compiler") == compiled + 1);
            reload();
            eventually("it is mended", || loaded("code=Cache") == cached + 1);
        }
    });
}

/// By renaming, as the host does: writing into a file that is mapped would be another attack, one
/// that only the host's own user can make.
fn replace(file: &Path, content: &[u8]) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, file).unwrap();
}
