;; Has the host make as many zeroes for its output as BYTES says, in one call.
(component
  ;;@ types
  ;;@ libc
  (import "wasi:io/error@0.2.0" (instance $io (export "error" (type (sub resource)))))
  (alias export $io "error" (type $io-error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $io-error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "output-stream" (type $output-stream (sub resource)))
    (export "[method]output-stream.write-zeroes"
      (func (param "self" (borrow $output-stream)) (param "len" u64)
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $outer-stream))
    (export "output-stream" (type $stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $stream))))))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $write-zeroes
    (canon lower (func $streams "[method]output-stream.write-zeroes") (memory $memory)))
  (core instance $wasi
    (export "get-stdout" (func $get-stdout))
    (export "write-zeroes" (func $write-zeroes)))
  (core module $guest-module
    ;;@ imports
    (import "wasi" "get-stdout" (func $get-stdout (result i32)))
    (import "wasi" "write-zeroes" (func $write-zeroes (param i32 i64 i32)))
    ;;@ answers
    ;;@ model-fn
    ;;@ input-fn
    ;;@ output-fn
    (func (export "predict-fn") (param $input i32) (result i32)
      (call $write-zeroes (call $get-stdout) (i64.const BYTES) (i32.const 256))
      (call $drop-input (local.get $input))
      (call $ok (call $new-prediction (i32.const 0))))
  )
  (core instance $guest (instantiate $guest-module
    (with "libc" (instance $libc))
    (with "resources" (instance $resources))
    (with "wasi" (instance $wasi))))
  ;;@ lift
  ;;@ export
)
