;; Says that its answer lies where it does not: the first byte of the body says which part of it.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ predict-fn

    ;; Changes two words of the answer, and gives it.
    (func $lie (param $at i32) (param $address i32) (param $length i32) (result i32)
      (i32.store (local.get $at) (local.get $address))
      (i32.store offset=4 (local.get $at) (local.get $length))
      (i32.const 32))

    (func (export "output-fn") (param $prediction i32) (param i32 i32 i32) (result i32)
      (local $case i32)
      (local.set $case (call $prediction-rep (local.get $prediction)))
      (call $drop-prediction (local.get $prediction))
      (drop (call $answer))
      ;; A body of 4 GiB.
      (if (i32.eq (local.get $case) (i32.const 0x30 (; 0 ;)))
        (then (return (call $lie (i32.const 36) (i32.const 0) (i32.const -1)))))
      ;; A body whose last byte is beyond the memory.
      (if (i32.eq (local.get $case) (i32.const 0x31 (; 1 ;)))
        (then (return (call $lie (i32.const 36) (i32.const 1024)
          (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1023))))))
      ;; A body that begins at the last address and goes round.
      (if (i32.eq (local.get $case) (i32.const 0x32 (; 2 ;)))
        (then (return (call $lie (i32.const 36) (i32.const -1) (i32.const 1024)))))
      ;; A content type of 4 GiB.
      (if (i32.eq (local.get $case) (i32.const 0x33 (; 3 ;)))
        (then (return (call $lie (i32.const 44) (i32.const 0) (i32.const -1)))))
      ;; Attributes of 4 GiB.
      (if (i32.eq (local.get $case) (i32.const 0x34 (; 4 ;)))
        (then
          (i32.store (i32.const 52) (i32.const 1))
          (return (call $lie (i32.const 56) (i32.const 0) (i32.const -1)))))
      ;; Neither some attributes nor none.
      (if (i32.eq (local.get $case) (i32.const 0x35 (; 5 ;)))
        (then (i32.store (i32.const 52) (i32.const 7)) (return (i32.const 32))))
      ;; Neither an answer nor an error.
      (if (i32.eq (local.get $case) (i32.const 0x36 (; 6 ;)))
        (then (i32.store (i32.const 32) (i32.const 2)) (return (i32.const 32))))
      ;; An error of 4 GiB.
      (if (i32.eq (local.get $case) (i32.const 0x37 (; 7 ;)))
        (then (return (call $fail (i32.const 2) (i32.const 0) (i32.const -1)))))
      ;; An error of no kind.
      (if (i32.eq (local.get $case) (i32.const 0x38 (; 8 ;)))
        (then (return (call $fail (i32.const 9) (i32.const 0) (i32.const 0)))))
      ;; All of it beyond the memory.
      (if (i32.eq (local.get $case) (i32.const 0x39 (; 9 ;)))
        (then (return (i32.const -16))))
      ;; All of it where nothing of its type may begin.
      (if (i32.eq (local.get $case) (i32.const 0x61 (; a ;)))
        (then (return (i32.const 33))))
      (i32.const 32))
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
