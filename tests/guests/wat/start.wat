;; Does what ACTION says before any hook is called.
(component
  ;;@ types
  ;;@ libc
  (core module $guest-module
    ;;@ imports
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ predict-fn
    ;;@ output-fn
    (func $recurse (call $recurse))
    (func $start ACTION)
    (start $start)
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
