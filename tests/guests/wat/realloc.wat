;; Its allocator is what LIE says, whenever the host needs room for a request.
(component
  ;;@ types
  (core module $libc-module
    (import "resources" "new-input" (func $new-input (param i32) (result i32)))
    (memory (export "memory") 1)
    (func $recurse (call $recurse))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
      (result i32)
      (if (result i32) (i32.eq (local.get $align) (i32.const 4))
        (then LIE)
        (else (i32.const 8192)))))
  (core instance $libc (instantiate $libc-module (with "resources" (instance $resources))))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ predict-fn
    ;;@ output-fn
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
