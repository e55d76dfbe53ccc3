;; Asks the host for timers until it gives no more.
(component
  ;;@ types
  ;;@ libc
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (core func $timer (canon lower (func $clock "subscribe-duration")))
  (core instance $wasi (export "timer" (func $timer)))
  (core module $guest-module
    ;;@ imports
    (import "wasi" "timer" (func $timer (param i64) (result i32)))
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ output-fn
    (func (export "predict-fn") (param $input i32) (result i32)
      (loop $more
        (drop (call $timer (i64.const -1)))
        (br $more))
      unreachable)
  )
  (core instance $guest (instantiate $guest-module
    (with "libc" (instance $libc))
    (with "resources" (instance $resources))
    (with "wasi" (instance $wasi))))
  ;;@ lift
  ;;@ export
)
