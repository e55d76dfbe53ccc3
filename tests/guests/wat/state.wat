;; Counts its requests in a global, in its memory and in a table, and answers with the three digits.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ predict-fn
    (global $requests (mut i32) (i32.const 0))
    (table $table 1 16 funcref)
    (func (export "output-fn") (param $prediction i32) (param i32 i32 i32) (result i32)
      (call $drop-prediction (local.get $prediction))
      (global.set $requests (i32.add (global.get $requests) (i32.const 1)))
      (i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1)))
      (drop (call $answer))
      (i32.store (i32.const 36) (i32.const 768))
      (i32.store (i32.const 40) (i32.const 3))
      (i32.store8 (i32.const 768) (i32.add (i32.const 0x30) (global.get $requests)))
      (i32.store8 (i32.const 769) (i32.add (i32.const 0x30) (i32.load (i32.const 512))))
      (i32.store8 (i32.const 770) (i32.add (i32.const 0x30) (table.size $table)))
      (drop (table.grow $table (ref.null func) (i32.const 1)))
      (i32.const 32))
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
