    ;; What the hooks of every guest here may use.
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "resources" "new-input" (func $new-input (param i32) (result i32)))
    (import "resources" "drop-input" (func $drop-input (param i32)))
    (import "resources" "input-rep" (func $input-rep (param i32) (result i32)))
    (import "resources" "new-prediction" (func $new-prediction (param i32) (result i32)))
    (import "resources" "drop-prediction" (func $drop-prediction (param i32)))
    (import "resources" "prediction-rep" (func $prediction-rep (param i32) (result i32)))
