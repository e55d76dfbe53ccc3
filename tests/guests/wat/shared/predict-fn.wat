    ;; The prediction is the case, too.
    (func (export "predict-fn") (param $input i32) (result i32)
      (local $case i32)
      (local.set $case (call $input-rep (local.get $input)))
      (call $drop-input (local.get $input))
      (call $ok (call $new-prediction (local.get $case))))
