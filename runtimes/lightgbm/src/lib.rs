//! Runtime for LightGBM models: the text files that LightGBM saves, served as they are.
