//! What the server and the kernel say about memory.

use std::fs;

use serde::Deserialize;

use crate::client::{Answer, Client};

/// What a loaded model counts for in the budget, and how its cells are made.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Of this model alone, in bytes.
    pub memory_bytes: u64,
    /// Compiled code, which models of the same component share.
    pub code_bytes: u64,
    /// Its cells start from a snapshot.
    pub snapshot: bool,
}

/// What a model counts for.
///
/// # Errors
///
/// If it is not loaded.
pub fn counted(client: &mut Client, name: &str) -> Result<Counted, String> {
    let answer = ok(client.get(&format!("/models/{name}")))?;
    serde_json::from_slice(&answer.body).map_err(|e| {
        let text = String::from_utf8_lossy(&answer.body);
        format!("GET /models/{name}: {e}: {text}")
    })
}

/// The server's metrics that the benchmark reads.
#[derive(Debug, Clone, Copy)]
pub struct Metrics {
    /// Requests to models that were loaded.
    pub hits: u64,
    /// Requests to models that were not.
    pub misses: u64,
    /// Models that had to make room.
    pub evictions: u64,
    /// Models that are loaded.
    pub loaded: u64,
    /// Bytes in use, as the budget counts.
    pub used: u64,
}

/// Reads the server's metrics.
///
/// # Errors
///
/// If one is missing.
pub fn metrics(client: &mut Client) -> Result<Metrics, String> {
    let answer = ok(client.get("/metrics"))?;
    let text = String::from_utf8_lossy(&answer.body);
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(metric, _)| *metric == name)
            .and_then(|(_, value)| value.trim().parse::<f64>().ok())
            .map(|value| value as u64)
            .ok_or_else(|| format!("there is no metric {name}"))
    };
    Ok(Metrics {
        hits: value("modelcell_model_cache_hits_total")?,
        misses: value("modelcell_model_cache_misses_total")?,
        evictions: value("modelcell_evictions_total")?,
        loaded: value("modelcell_loaded_model_count")?,
        used: value("modelcell_memory_used_bytes")?,
    })
}

fn ok(answer: std::io::Result<Answer>) -> Result<Answer, String> {
    let answer = answer.map_err(|e| e.to_string())?;
    if answer.status == 200 {
        return Ok(answer);
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(format!("{}: {text}", answer.status))
}

/// The kernel's figures of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// `VmRSS`: what is in memory, shared pages included.
    pub rss: u64,
    /// `Pss`: the same, with shared pages divided among those who share them.
    pub pss: u64,
    /// `Private_Clean` and `Private_Dirty`: what no other process has.
    pub private: u64,
    /// `Anonymous`: what no file backs.
    pub anonymous: u64,
}

impl Resident {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub fn of(process: u32) -> Result<Self, String> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))
        };
        let (status, rollup) = (read("status")?, read("smaps_rollup")?);
        let bytes = |text: &str, name: &str| {
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| *field == name)
                .and_then(|(_, value)| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())
                .map(|kib| kib << 10)
                .ok_or_else(|| format!("the kernel does not say {name}"))
        };
        Ok(Self {
            rss: bytes(&status, "VmRSS")?,
            pss: bytes(&rollup, "Pss")?,
            private: bytes(&rollup, "Private_Clean")? + bytes(&rollup, "Private_Dirty")?,
            anonymous: bytes(&rollup, "Anonymous")?,
        })
    }
}
