//! A panic in a model becomes one line on stderr, which the host logs with the model's name. Then
//! the component aborts, and the host answers the caller.

use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Replaces the standard message, which has several lines and advice for a terminal.
pub(super) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            // One write, so that the host sees one line. If stderr is gone there is nobody to tell.
            let _ = std::io::stderr().write_all(line(info).as_bytes());
        }));
    });
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("(no message)");
    let message = message
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" | ");
    match info.location() {
        Some(location) => format!("panicked at {location}: {message}\n"),
        None => format!("panicked: {message}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_panic_is_one_line() {
        static LINE: Mutex<String> = Mutex::new(String::new());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|info| *LINE.lock().unwrap() = line(info)));
        let result = std::panic::catch_unwind(|| panic!("left: 1\n right: {}", 2));
        std::panic::set_hook(before);
        assert!(result.is_err());
        let line = LINE.lock().unwrap();
        assert!(
            line.starts_with("panicked at ") && line.contains("panic.rs:"),
            "{line}"
        );
        assert!(line.ends_with(": left: 1 | right: 2\n"), "{line}");
    }
}
