//! XGBoost's C interface (`xgboost/c_api.h`).

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};

use libloading::Library;

use crate::library::{LastError, Native, Rows, c_path, check, function, open};

type Handle = *mut c_void;
type Create = unsafe extern "C" fn(*const Handle, u64, *mut Handle) -> c_int;
type Free = unsafe extern "C" fn(Handle) -> c_int;
type Load = unsafe extern "C" fn(Handle, *const c_char) -> c_int;
type SetParam = unsafe extern "C" fn(Handle, *const c_char, *const c_char) -> c_int;
type CreateMatrix = unsafe extern "C" fn(*const c_char, *const c_char, *mut Handle) -> c_int;
type PredictDense = unsafe extern "C" fn(
    Handle,
    *const c_char,
    *const c_char,
    Handle,
    *mut *const u64,
    *mut u64,
    *mut *const f32,
) -> c_int;
type PredictMatrix = unsafe extern "C" fn(
    Handle,
    Handle,
    *const c_char,
    *mut *const u64,
    *mut u64,
    *mut *const f32,
) -> c_int;

/// Plain predictions of all trees, where NaN is missing.
const PREDICT: &CStr = c"{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\
                         \"strict_shape\":false,\"cache_id\":0,\"missing\":NaN}";
const MATRIX: &CStr = c"{\"missing\":NaN,\"nthread\":1}";

struct Functions {
    last_error: LastError,
    create: Create,
    free: Free,
    load: Load,
    set_param: SetParam,
    create_matrix: CreateMatrix,
    free_matrix: Free,
    predict_dense: PredictDense,
    predict_matrix: PredictMatrix,
}

/// A booster and the rows that it is asked.
pub struct Xgboost {
    name: String,
    booster: Handle,
    rows: Rows<f32>,
    functions: Functions,
    /// Last: the functions are in it.
    _library: Library,
}

impl Xgboost {
    /// Opens the library at `path` and loads `model`.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub fn start(name: String, path: &Path, model: &Path, rows: Rows<f32>) -> Result<Self, String> {
        let library = open(path)?;
        let functions = Functions::find(&library)?;
        let booster = functions.booster(model)?;
        Ok(Self {
            name,
            booster,
            rows,
            functions,
            _library: library,
        })
    }

    /// In place, without a matrix of the library's own.
    fn predict_dense(&self, rows: &[f32]) -> Result<&[f32], String> {
        let interface = self.interface(rows)?;
        let (mut shape, mut dimensions, mut result) = (null(), 0, null());
        // SAFETY: as the header has it. The interface names memory that lives throughout the call.
        let status = unsafe {
            (self.functions.predict_dense)(
                self.booster,
                interface.as_ptr(),
                PREDICT.as_ptr(),
                null_mut(),
                &mut shape,
                &mut dimensions,
                &mut result,
            )
        };
        self.functions.check(status)?;
        Ok(self.outputs(result, rows))
    }

    /// As Python's `Booster.predict` does: by way of a `DMatrix`.
    fn predict_matrix(&self, rows: &[f32]) -> Result<f64, String> {
        let interface = self.interface(rows)?;
        let mut matrix = null_mut();
        let (mut shape, mut dimensions, mut result) = (null(), 0, null());
        let functions = &self.functions;
        // SAFETY: as the header has it; the matrix is freed once, after its last use.
        unsafe {
            let status =
                (functions.create_matrix)(interface.as_ptr(), MATRIX.as_ptr(), &mut matrix);
            functions.check(status)?;
            let status = (functions.predict_matrix)(
                self.booster,
                matrix,
                PREDICT.as_ptr(),
                &mut shape,
                &mut dimensions,
                &mut result,
            );
            let predicted = functions.check(status);
            (functions.free_matrix)(matrix);
            predicted?;
        }
        let first = self.outputs(result, rows).first();
        Ok(first.copied().unwrap_or(f32::NAN).into())
    }

    /// NumPy's array interface, by which the library takes memory.
    fn interface(&self, rows: &[f32]) -> Result<CString, String> {
        let (address, columns) = (rows.as_ptr().addr(), self.rows.columns);
        CString::new(format!(
            "{{\"data\":[{address},true],\"shape\":[{},{columns}],\"typestr\":\"<f4\",\"version\":3}}",
            rows.len() / columns
        ))
        .map_err(|e| e.to_string())
    }

    /// One output for each row.
    fn outputs(&self, result: *const f32, rows: &[f32]) -> &[f32] {
        // SAFETY: a model with one output has one for each row, in memory that the booster keeps until
        // it predicts again.
        unsafe { std::slice::from_raw_parts(result, rows.len() / self.rows.columns) }
    }
}

impl Functions {
    fn find(library: &Library) -> Result<Self, String> {
        // SAFETY: the types are those of the header, and the library stays open as long as they do.
        unsafe {
            Ok(Self {
                last_error: function(library, "XGBGetLastError")?,
                create: function(library, "XGBoosterCreate")?,
                free: function(library, "XGBoosterFree")?,
                load: function(library, "XGBoosterLoadModel")?,
                set_param: function(library, "XGBoosterSetParam")?,
                create_matrix: function(library, "XGDMatrixCreateFromDense")?,
                free_matrix: function(library, "XGDMatrixFree")?,
                predict_dense: function(library, "XGBoosterPredictFromDense")?,
                predict_matrix: function(library, "XGBoosterPredictFromDMatrix")?,
            })
        }
    }

    /// A booster with one thread, of a file.
    fn booster(&self, model: &Path) -> Result<Handle, String> {
        let file = c_path(model)?;
        let mut booster = null_mut();
        // SAFETY: as the header has it.
        unsafe {
            self.check((self.create)(null(), 0, &mut booster))?;
            self.check((self.set_param)(
                booster,
                c"nthread".as_ptr(),
                c"1".as_ptr(),
            ))?;
            self.check((self.load)(booster, file.as_ptr()))?;
            // The file may have brought its own.
            self.check((self.set_param)(
                booster,
                c"nthread".as_ptr(),
                c"1".as_ptr(),
            ))?;
        }
        Ok(booster)
    }

    fn free(&self, booster: Handle) {
        // SAFETY: it was made by `booster` and is used no more.
        unsafe { (self.free)(booster) };
    }

    fn check(&self, status: c_int) -> Result<(), String> {
        check(status, self.last_error)
    }
}

impl Native for Xgboost {
    fn name(&self) -> &str {
        &self.name
    }

    fn ways(&self) -> &'static [&'static str] {
        &["XGBoosterPredictFromDense", "XGBoosterPredictFromDMatrix"]
    }

    fn one(&self, way: usize, row: usize) -> Result<f64, String> {
        let row = self.rows.row(row)?;
        match way {
            0 => {
                let first = self.predict_dense(row)?.first();
                Ok(first.copied().unwrap_or(f32::NAN).into())
            }
            _ => self.predict_matrix(row),
        }
    }

    fn batch(&self) -> Result<Vec<f64>, String> {
        let predicted = self.predict_dense(&self.rows.values)?;
        Ok(predicted.iter().map(|&value| value.into()).collect())
    }

    fn load(&self, file: &Path) -> Result<(), String> {
        let booster = self.functions.booster(file)?;
        self.functions.free(booster);
        Ok(())
    }
}

impl Drop for Xgboost {
    fn drop(&mut self) {
        self.functions.free(self.booster);
    }
}
