//! The operators: those of tract, and our own where tract has none, or only a slower or a narrower one.

mod attributes;
mod cast;
mod columns;
mod distance;
mod either;
mod encode;
mod kernel;
mod labels;
mod linear;
mod post;
mod scale;
mod select;
mod svm;
mod trees;
mod values;

use tract_onnx::model::OnnxOpRegister;

pub(crate) use attributes::Attributes;
use kernel::build;
pub(crate) use labels::Labels;
pub(crate) use values::{Refused, refused, tensor, values};

/// The domains that operators come from.
pub(crate) const DOMAINS: [&str; 3] = ["ai.onnx", "ai.onnx.ml", "com.microsoft"];

/// All operators, by their names.
pub(crate) fn registry() -> OnnxOpRegister {
    let mut registry = OnnxOpRegister::default();
    tract_onnx::ops::register_all_ops(&mut registry);
    registry.insert(
        "ArrayFeatureExtractor",
        build::<columns::ArrayFeatureExtractor>,
    );
    registry.insert("Binarizer", build::<scale::Binarizer>);
    registry.insert("CDist", build::<distance::CDist>);
    either::replace::<cast::Cast>(&mut registry, "Cast");
    either::replace::<select::Gather>(&mut registry, "Gather");
    either::replace::<select::TopK>(&mut registry, "TopK");
    registry.insert("CategoryMapper", build::<encode::LabelEncoder>);
    registry.insert("FeatureVectorizer", build::<columns::FeatureVectorizer>);
    registry.insert("Imputer", build::<scale::Imputer>);
    registry.insert("LabelEncoder", build::<encode::LabelEncoder>);
    registry.insert("LinearClassifier", build::<linear::LinearClassifier>);
    registry.insert("LinearRegressor", build::<linear::LinearRegressor>);
    registry.insert("Normalizer", build::<scale::Normalizer>);
    registry.insert("OneHotEncoder", build::<encode::OneHotEncoder>);
    registry.insert("SVMClassifier", build::<svm::SvmClassifier>);
    registry.insert("SVMRegressor", build::<svm::SvmRegressor>);
    registry.insert("Scaler", build::<scale::Scaler>);
    registry.insert("TreeEnsemble", build::<trees::TreeEnsembleRegressor>);
    registry.insert(
        "TreeEnsembleClassifier",
        build::<trees::TreeEnsembleClassifier>,
    );
    registry.insert(
        "TreeEnsembleRegressor",
        build::<trees::TreeEnsembleRegressor>,
    );
    registry
}
