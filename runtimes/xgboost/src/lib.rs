//! Runtime for XGBoost models: the files that XGBoost saves, served as they are.
