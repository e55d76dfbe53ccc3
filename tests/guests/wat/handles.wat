;; Takes what is not its own: the first byte of the body says which handle it lies about.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn

    (func $is (param $case i32) (param $letter i32) (result i32)
      (i32.eq (local.get $case) (local.get $letter)))

    (func (export "input-fn") (param $request i32) (result i32)
      (local $case i32) (local $input i32)
      (local.set $case (call $case (local.get $request)))
      ;; 0 is never a handle.
      (if (call $is (local.get $case) (i32.const 0x30 (; 0 ;)))
        (then (return (call $ok (i32.const 0)))))
      ;; One that it never made, but another cell has.
      (if (call $is (local.get $case) (i32.const 0x31 (; 1 ;)))
        (then (return (call $ok (i32.const 1)))))
      ;; Beyond any table.
      (if (call $is (local.get $case) (i32.const 0x32 (; 2 ;)))
        (then (return (call $ok (i32.const -1)))))
      ;; A prediction for an input.
      (if (call $is (local.get $case) (i32.const 0x33 (; 3 ;)))
        (then (return (call $ok (call $new-prediction (i32.const 0))))))
      (local.set $input (call $new-input (local.get $case)))
      ;; One that is dropped already.
      (if (call $is (local.get $case) (i32.const 0x34 (; 4 ;)))
        (then (call $drop-input (local.get $input))))
      ;; As many as there may be, and one more.
      (if (call $is (local.get $case) (i32.const 0x35 (; 5 ;)))
        (then (loop $more (drop (call $new-input (i32.const 0))) (br $more))))
      (call $ok (local.get $input)))

    (func (export "predict-fn") (param $input i32) (result i32)
      (local $case i32)
      (local.set $case (call $input-rep (local.get $input)))
      ;; The input for a prediction.
      (if (call $is (local.get $case) (i32.const 0x36 (; 6 ;)))
        (then (return (call $ok (local.get $input)))))
      ;; The input, dropped as if it were a prediction.
      (if (call $is (local.get $case) (i32.const 0x37 (; 7 ;)))
        (then (call $drop-prediction (local.get $input))))
      (call $drop-input (local.get $input))
      ;; Dropped twice.
      (if (call $is (local.get $case) (i32.const 0x38 (; 8 ;)))
        (then (call $drop-input (local.get $input))))
      ;; Looked into after it was dropped.
      (if (call $is (local.get $case) (i32.const 0x39 (; 9 ;)))
        (then (drop (call $input-rep (local.get $input)))))
      (call $ok (call $new-prediction (local.get $case))))

    (func (export "output-fn") (param $prediction i32) (param i32 i32 i32) (result i32)
      (local $case i32)
      (local.set $case (call $prediction-rep (local.get $prediction)))
      (call $drop-prediction (local.get $prediction))
      (if (call $is (local.get $case) (i32.const 0x61 (; a ;)))
        (then (call $drop-prediction (local.get $prediction))))
      (if (call $is (local.get $case) (i32.const 0x62 (; b ;)))
        (then (call $drop-prediction (i32.const 12345))))
      (call $answer))
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
