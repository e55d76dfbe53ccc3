//! Runtime for ONNX models: networks, and scikit-learn pipelines converted by skl2onnx.
