//! Tables of numbers from requests, and predictions back to callers.
