//! A training library's own C interface, opened at run time: who does not measure does not need it.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::Path;

use libloading::Library;

/// A model in the library that trained it, with one thread.
pub trait Native {
    /// Its name and version.
    fn name(&self) -> &str;

    /// The ways in which it predicts one row, the fastest first.
    fn ways(&self) -> &'static [&'static str];

    /// Predicts one of the rows in one of the ways.
    ///
    /// # Errors
    ///
    /// What the library says.
    fn one(&self, way: usize, row: usize) -> Result<f64, String>;

    /// Predicts all rows.
    ///
    /// # Errors
    ///
    /// What the library says.
    fn batch(&self) -> Result<Vec<f64>, String>;

    /// Loads a model file and lets go of it.
    ///
    /// # Errors
    ///
    /// What the library says.
    fn load(&self, file: &Path) -> Result<(), String>;
}

/// The rows that are predicted, features of one row after those of another.
pub struct Rows<T> {
    /// The numbers.
    pub values: Vec<T>,
    /// How many there are of one row.
    pub columns: usize,
}

impl<T> Rows<T> {
    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.columns
    }

    /// One of the rows.
    pub fn row(&self, row: usize) -> Result<&[T], String> {
        let start = row * self.columns;
        self.values
            .get(start..start + self.columns)
            .ok_or_else(|| format!("there is no row {row}"))
    }
}

/// Opens a shared library.
pub fn open(path: &Path) -> Result<Library, String> {
    // SAFETY: it is the library of a package that was installed for this benchmark, whose initialisers
    // Python runs just so.
    unsafe { Library::new(path) }.map_err(|e| format!("{}: {e}", path.display()))
}

/// A function of `library`.
///
/// # Safety
///
/// `F` must be the type that the library's header gives to `name`, and the function must not be called
/// after the library was closed.
pub unsafe fn function<F: Copy>(library: &Library, name: &str) -> Result<F, String> {
    // SAFETY: the caller's promise.
    let symbol = unsafe { library.get::<F>(name.as_bytes()) };
    symbol
        .map(|symbol| *symbol)
        .map_err(|e| format!("{name}: {e}"))
}

/// How both libraries tell the text of their last error.
pub type LastError = unsafe extern "C" fn() -> *const c_char;

/// Turns a function's result into an error if it is not 0.
pub fn check(status: c_int, last_error: LastError) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the libraries return a text that stays until their next error in this thread.
    let text = unsafe { CStr::from_ptr(last_error()) };
    Err(text.to_string_lossy().into_owned())
}

/// A path for C.
pub fn c_path(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| e.to_string())
}
