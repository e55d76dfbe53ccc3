//! LightGBM's C interface (`LightGBM/c_api.h`).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;

use libloading::Library;

use crate::library::{LastError, Native, Rows, c_path, check, function, open};

type Handle = *mut c_void;
type Create = unsafe extern "C" fn(*const c_char, *mut c_int, *mut Handle) -> c_int;
type Free = unsafe extern "C" fn(Handle) -> c_int;
type FastInit = unsafe extern "C" fn(
    Handle,
    c_int,
    c_int,
    c_int,
    c_int,
    i32,
    *const c_char,
    *mut Handle,
) -> c_int;
type PredictFast = unsafe extern "C" fn(Handle, *const c_void, *mut i64, *mut f64) -> c_int;
type PredictRow = unsafe extern "C" fn(
    Handle,
    *const c_void,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const c_char,
    *mut i64,
    *mut f64,
) -> c_int;
type PredictRows = unsafe extern "C" fn(
    Handle,
    *const c_void,
    c_int,
    i32,
    i32,
    c_int,
    c_int,
    c_int,
    c_int,
    *const c_char,
    *mut i64,
    *mut f64,
) -> c_int;

/// `C_API_DTYPE_FLOAT64`.
const FLOAT64: c_int = 1;
/// `C_API_PREDICT_NORMAL`.
const NORMAL: c_int = 0;
/// Row after row.
const ROW_MAJOR: c_int = 1;
/// From the first iteration to the last.
const FIRST: c_int = 0;
const LAST: c_int = -1;
const PARAMETERS: &CStr = c"num_threads=1";

struct Functions {
    last_error: LastError,
    create: Create,
    free: Free,
    fast_init: FastInit,
    fast_free: Free,
    predict_fast: PredictFast,
    predict_row: PredictRow,
    predict_rows: PredictRows,
}

/// A booster and the rows that it is asked.
pub struct Lightgbm {
    name: String,
    booster: Handle,
    /// What is prepared for one row at a time.
    fast: Handle,
    rows: Rows<f64>,
    columns: i32,
    functions: Functions,
    /// Last: the functions are in it.
    _library: Library,
}

impl Lightgbm {
    /// Opens the library at `path` and loads `model`.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub fn start(name: String, path: &Path, model: &Path, rows: Rows<f64>) -> Result<Self, String> {
        let library = open(path)?;
        let functions = Functions::find(&library)?;
        let columns = i32::try_from(rows.columns).map_err(|e| e.to_string())?;
        let booster = functions.booster(model)?;
        let mut fast = null_mut();
        // SAFETY: as the header has it.
        let status = unsafe {
            (functions.fast_init)(
                booster,
                NORMAL,
                FIRST,
                LAST,
                FLOAT64,
                columns,
                PARAMETERS.as_ptr(),
                &mut fast,
            )
        };
        functions.check(status)?;
        Ok(Self {
            name,
            booster,
            fast,
            rows,
            columns,
            functions,
            _library: library,
        })
    }

    fn predict_row(&self, row: &[f64], out: &mut f64) -> c_int {
        let mut length = 0;
        // SAFETY: as the header has it; a model with one output writes one number.
        unsafe {
            (self.functions.predict_row)(
                self.booster,
                row.as_ptr().cast(),
                FLOAT64,
                self.columns,
                ROW_MAJOR,
                NORMAL,
                FIRST,
                LAST,
                PARAMETERS.as_ptr(),
                &mut length,
                out,
            )
        }
    }

    /// `out` has room for one number for each row.
    fn predict_rows(&self, rows: &[f64], out: &mut [f64]) -> c_int {
        let mut length = 0;
        // SAFETY: as the header has it; a model with one output writes one number for each row.
        unsafe {
            (self.functions.predict_rows)(
                self.booster,
                rows.as_ptr().cast(),
                FLOAT64,
                // As many as `out` has places, a thousand.
                out.len() as i32,
                self.columns,
                ROW_MAJOR,
                NORMAL,
                FIRST,
                LAST,
                PARAMETERS.as_ptr(),
                &mut length,
                out.as_mut_ptr(),
            )
        }
    }
}

impl Functions {
    fn find(library: &Library) -> Result<Self, String> {
        // SAFETY: the types are those of the header, and the library stays open as long as they do.
        unsafe {
            Ok(Self {
                last_error: function(library, "LGBM_GetLastError")?,
                create: function(library, "LGBM_BoosterCreateFromModelfile")?,
                free: function(library, "LGBM_BoosterFree")?,
                fast_init: function(library, "LGBM_BoosterPredictForMatSingleRowFastInit")?,
                fast_free: function(library, "LGBM_FastConfigFree")?,
                predict_fast: function(library, "LGBM_BoosterPredictForMatSingleRowFast")?,
                predict_row: function(library, "LGBM_BoosterPredictForMatSingleRow")?,
                predict_rows: function(library, "LGBM_BoosterPredictForMat")?,
            })
        }
    }

    fn booster(&self, model: &Path) -> Result<Handle, String> {
        let file = c_path(model)?;
        let (mut booster, mut iterations) = (null_mut(), 0);
        // SAFETY: as the header has it.
        let status = unsafe { (self.create)(file.as_ptr(), &mut iterations, &mut booster) };
        self.check(status)?;
        Ok(booster)
    }

    fn check(&self, status: c_int) -> Result<(), String> {
        check(status, self.last_error)
    }
}

impl Native for Lightgbm {
    fn name(&self) -> &str {
        &self.name
    }

    fn ways(&self) -> &'static [&'static str] {
        &[
            "LGBM_BoosterPredictForMatSingleRowFast",
            "LGBM_BoosterPredictForMatSingleRow",
            "LGBM_BoosterPredictForMat",
        ]
    }

    fn one(&self, way: usize, row: usize) -> Result<f64, String> {
        let row = self.rows.row(row)?;
        let (mut out, mut length) = (0.0, 0);
        let status = match way {
            // SAFETY: as the header has it; a model with one output writes one number.
            0 => unsafe {
                (self.functions.predict_fast)(self.fast, row.as_ptr().cast(), &mut length, &mut out)
            },
            1 => self.predict_row(row, &mut out),
            _ => self.predict_rows(row, std::slice::from_mut(&mut out)),
        };
        self.functions.check(status)?;
        Ok(out)
    }

    fn batch(&self) -> Result<Vec<f64>, String> {
        let mut out = vec![0.0; self.rows.count()];
        let status = self.predict_rows(&self.rows.values, &mut out);
        self.functions.check(status)?;
        Ok(out)
    }

    fn load(&self, file: &Path) -> Result<(), String> {
        let booster = self.functions.booster(file)?;
        // SAFETY: it was made just now and is used no more.
        unsafe { (self.functions.free)(booster) };
        Ok(())
    }
}

impl Drop for Lightgbm {
    fn drop(&mut self) {
        // SAFETY: both were made in `start` and are used no more.
        unsafe {
            (self.functions.fast_free)(self.fast);
            (self.functions.free)(self.booster);
        }
    }
}
