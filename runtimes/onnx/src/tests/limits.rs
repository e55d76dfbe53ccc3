//! Models with constants, attributes and sizes that tract would stop the cell at, or cut.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::graph::{column_of_whole_numbers, matrix, node, try_read};
use super::send;

fn whole(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: DataType::Float as i32,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn refusal(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> String {
    let graph = GraphProto {
        output: vec![matrix("Y", &[])],
        input: vec![matrix("X", &[1, 4])],
        node,
        initializer,
        ..GraphProto::default()
    };
    try_read(graph).unwrap_err().message().to_owned()
}

#[test]
fn a_model_has_not_too_many_nodes() {
    let chain = (0..10_001).map(|number| {
        let (from, to) = (format!("v{number}"), format!("v{}", number + 1));
        node("Relu", &[&from], &to)
    });
    assert_eq!(
        refusal(chain.collect(), vec![]),
        "it has 10001 nodes, and a model may have 10000"
    );

    let mut choice = node("If", &["c"], "Y");
    choice.attribute = ["then_branch", "else_branch"]
        .map(|name| AttributeProto {
            name: name.to_owned(),
            r#type: AttributeType::Graph as i32,
            g: Some(GraphProto {
                node: vec![node("Relu", &["X"], "inner"); 6_000],
                ..GraphProto::default()
            }),
            ..AttributeProto::default()
        })
        .to_vec();
    assert_eq!(
        refusal(vec![choice], vec![]),
        "it has 12001 nodes, and a model may have 10000"
    );
}

#[test]
fn constants_that_are_sizes_are_in_range() {
    const BEYOND: i64 = 1 << 32;
    for (operator, input, values, problem) in [
        ("ConstantOfShape", 0, vec![-1], "length -1 is out of range"),
        ("ConstantOfShape", 0, vec![1 << 16; 2], "shape is too large"),
        ("Expand", 1, vec![BEYOND, 4], "length 4294967296 is"),
        ("Expand", 1, vec![1 << 30, 4], "shape is too large"),
        ("Tile", 1, vec![1, BEYOND], "number of repeats 4294967296"),
        ("Reshape", 1, vec![-2, 4], "length -2 is out of range"),
        ("Split", 1, vec![BEYOND, 4], "length 4294967296 is"),
        ("Pad", 1, vec![0, 0, 0, -BEYOND], "padding -4294967296 is"),
        ("OneHot", 1, vec![0], "depth 0 makes no sense"),
        ("OneHot", 1, vec![-1], "depth -1 is out of range"),
        ("Slice", 4, vec![0], "step 0 makes no sense"),
        ("Slice", 4, vec![BEYOND], "step 4294967296 is out of range"),
        ("Range", 2, vec![0], "step 0 makes no sense"),
        ("Div", 1, vec![3, 0, 1], "divisor 0 makes no sense"),
        ("Mod", 1, vec![0], "divisor 0 makes no sense"),
        ("Unsqueeze", 1, vec![64], "axis 64 is out of range"),
        ("Squeeze", 1, vec![-65], "axis -65 is out of range"),
    ] {
        let mut inputs = ["X"; 5];
        inputs[input] = "k";
        let uses = node(operator, &inputs[..=input], "Y");
        let refused = refusal(vec![uses], vec![whole("k", &values)]);
        let start = format!("node 0 (``, {operator}): ");
        assert!(
            refused.starts_with(&start) && refused.contains(problem),
            "{refused}"
        );
    }
}

#[test]
fn constants_of_nodes_count_too() {
    let mut constant = node("Constant", &[], "k");
    constant.attribute = vec![AttributeProto {
        name: "value_int".to_owned(),
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    }];
    let same = node("Identity", &["k"], "same");
    let divides = node("Div", &["X", "same"], "Y");
    assert_eq!(
        refusal(vec![constant, same, divides], vec![]),
        "node 2 (``, Div): divisor 0 makes no sense"
    );
}

#[test]
fn scales_are_in_range() {
    let uses = || vec![node("Resize", &["X", "", "k"], "Y")];
    for scale in [0.0, -1.0, 1e5, f32::NAN] {
        let refused = refusal(uses(), vec![floats("k", &[1.0, scale])]);
        assert_eq!(
            refused,
            format!("node 0 (``, Resize): scale {scale} is out of range")
        );
    }
}

#[test]
fn a_window_moves() {
    let mut pool = node("MaxPool", &["X"], "Y");
    pool.attribute = vec![AttributeProto {
        name: "strides".to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: vec![1, 0],
        ..AttributeProto::default()
    }];
    assert_eq!(
        refusal(vec![pool], vec![]),
        "node 0 (``, MaxPool): attribute strides is out of range: 0"
    );
}

#[test]
fn a_model_may_divide_whole_numbers_by_its_input() {
    for (operator, answer) in [("Div", "3\n"), ("Mod", "1\n")] {
        let model = try_read(GraphProto {
            node: vec![node(operator, &["X", "X2"], "Y")],
            input: vec![column_of_whole_numbers("X"), column_of_whole_numbers("X2")],
            output: vec![column_of_whole_numbers("Y")],
            ..GraphProto::default()
        })
        .unwrap();
        assert_eq!(send(&model, "text/csv", "7,2\n", "text/csv"), answer);
    }
}
