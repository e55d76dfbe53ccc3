//! Has the binary built anew when what `modelcell new` copies out of it changes.

fn main() {
    for path in ["template", "../guest-sdk", "../wit"] {
        println!("cargo::rerun-if-changed={path}");
    }
}
