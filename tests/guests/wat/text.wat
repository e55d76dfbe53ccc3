;; Answers in what is not UTF-8: the first byte of the body says where.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ predict-fn

    ;; A byte that begins nothing, half a surrogate pair, an overlong slash, a character cut off.
    (data (i32.const 2048) "\ff\ed\a0\80\c0\af\e2\82")

    (func (export "output-fn") (param $prediction i32) (param i32 i32 i32) (result i32)
      (local $case i32)
      (local.set $case (call $prediction-rep (local.get $prediction)))
      (call $drop-prediction (local.get $prediction))
      (drop (call $answer))
      ;; The content type: each of the four.
      (if (i32.eq (local.get $case) (i32.const 0x30 (; 0 ;)))
        (then (i32.store (i32.const 44) (i32.const 2048)) (i32.store (i32.const 48) (i32.const 1))))
      (if (i32.eq (local.get $case) (i32.const 0x31 (; 1 ;)))
        (then (i32.store (i32.const 44) (i32.const 2049)) (i32.store (i32.const 48) (i32.const 3))))
      (if (i32.eq (local.get $case) (i32.const 0x32 (; 2 ;)))
        (then (i32.store (i32.const 44) (i32.const 2052)) (i32.store (i32.const 48) (i32.const 2))))
      (if (i32.eq (local.get $case) (i32.const 0x33 (; 3 ;)))
        (then (i32.store (i32.const 44) (i32.const 2054)) (i32.store (i32.const 48) (i32.const 2))))
      ;; The attributes.
      (if (i32.eq (local.get $case) (i32.const 0x34 (; 4 ;)))
        (then
          (i32.store (i32.const 52) (i32.const 1))
          (i32.store (i32.const 56) (i32.const 2048))
          (i32.store (i32.const 60) (i32.const 8))))
      ;; The error that goes to the caller, and the one that goes to the log.
      (if (i32.eq (local.get $case) (i32.const 0x35 (; 5 ;)))
        (then (return (call $fail (i32.const 2) (i32.const 2048) (i32.const 8)))))
      (if (i32.eq (local.get $case) (i32.const 0x36 (; 6 ;)))
        (then (return (call $fail (i32.const 3) (i32.const 2048) (i32.const 8)))))
      ;; The body may be anything.
      (if (i32.eq (local.get $case) (i32.const 0x37 (; 7 ;)))
        (then (i32.store (i32.const 36) (i32.const 2048)) (i32.store (i32.const 40) (i32.const 8))))
      (i32.const 32))
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
