;; Behaves.
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
  )
  ;;@ instance
  ;;@ lift
  ;;@ export
)
