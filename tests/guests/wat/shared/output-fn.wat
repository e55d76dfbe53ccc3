    (func (export "output-fn") (param $prediction i32) (param $some i32) (param i32 i32) (result i32)
      (call $drop-prediction (local.get $prediction))
      (call $answer))
