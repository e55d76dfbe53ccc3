;; Fills its memory again and again, each time all of it in one instruction.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ output-fn
    (memory $large 4000)
    (func (export "predict-fn") (param $input i32) (result i32)
      (loop $forever
        (memory.fill $large (i32.const 0) (i32.const 1) (i32.const 262144000))
        (br $forever))
      unreachable)
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
