    ;; The input is the case.
    (func (export "input-fn") (param $request i32) (result i32)
      (call $ok (call $new-input (call $case (local.get $request)))))
