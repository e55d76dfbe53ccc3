    (func (export "model-fn") (param i32 i32) (result i32)
      (call $ok (i32.const 0)))
