;; Misbehaves when the host has read its answer and lets it clean up: the first byte of the body says
;; how.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ predict-fn
    ;;@ output-fn
    (global $remembered (mut i32) (i32.const 0))
    (func (export "input-fn") (param $request i32) (result i32)
      (global.set $remembered (call $case (local.get $request)))
      (call $ok (call $new-input (global.get $remembered))))
    (func (export "post-return") (param i32)
      (if (i32.eq (global.get $remembered) (i32.const 0x30 (; 0 ;)))
        (then (loop $forever (br $forever))))
      (if (i32.eq (global.get $remembered) (i32.const 0x31 (; 1 ;)))
        (then unreachable))
      ;; What it may not do here.
      (if (i32.eq (global.get $remembered) (i32.const 0x32 (; 2 ;)))
        (then (drop (call $new-input (i32.const 0))))))
  )
  ;;@ instance
  ;;@ lift
  (func $tidy-output-fn (param "prediction" (own $prediction)) (param "accept" $text)
    (result (result $payload (error $error)))
    (canon lift (core func $guest "output-fn") (memory $memory) (realloc $realloc)
      (post-return (core func $guest "post-return"))))
  (instance $hooks
    (export "request" (type $request))
    (export "payload" (type $payload))
    (export "error" (type $error))
    (export "input" (type $input))
    (export "prediction" (type $prediction))
    (export "model-fn" (func $model-fn))
    (export "input-fn" (func $input-fn))
    (export "predict-fn" (func $predict-fn))
    (export "output-fn" (func $tidy-output-fn)))
  (export "modelcell:inference/hooks@0.2.0" (instance $hooks))
)
