;; Takes 4 MiB more. `w`: fills them and ends; anything else: looks for what others left in them, and
;; answers `!!` if there is something.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ predict-fn
    (data (i32.const 768) "!!")
    (func (export "output-fn") (param $prediction i32) (param i32 i32 i32) (result i32)
      (local $at i32) (local $end i32)
      (drop (call $answer))
      (local.set $at (i32.mul (memory.grow (i32.const 64)) (i32.const 65536)))
      (local.set $end (i32.add (local.get $at) (i32.const 4194304)))
      (if (i32.eq (call $prediction-rep (local.get $prediction)) (i32.const 0x77 (; w ;)))
        (then
          (memory.fill (local.get $at) (i32.const 0xaa) (i32.const 4194304))
          unreachable))
      (call $drop-prediction (local.get $prediction))
      (loop $next
        (if (i64.ne (i64.load (local.get $at)) (i64.const 0))
          (then (i32.store (i32.const 36) (i32.const 768))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
      (i32.const 32))
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
