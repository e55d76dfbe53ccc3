    (data (i32.const 1024) "oktext/plain")

    ;; The first byte of a request's body, which says what to do; 0 if there is none.
    (func $case (param $request i32) (result i32)
      (if (result i32) (i32.load offset=4 (local.get $request))
        (then (i32.load8_u (i32.load (local.get $request))))
        (else (i32.const 0))))

    ;; result::ok of nothing or of a handle.
    (func $ok (param $handle i32) (result i32)
      (i32.store (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (local.get $handle))
      (i32.const 16))

    ;; result::err of a text. The kinds are those of the contract, in its order.
    (func $fail (param $kind i32) (param $text i32) (param $length i32) (result i32)
      (i32.store (i32.const 64) (i32.const 1))
      (i32.store (i32.const 68) (local.get $kind))
      (i32.store (i32.const 72) (local.get $text))
      (i32.store (i32.const 76) (local.get $length))
      (i32.const 64))

    ;; result::ok of a payload: `ok`, as text. A guest may change it before it returns: the body's
    ;; address and length are at 36 and 40, the content type's at 44 and 48, and whether there are
    ;; attributes, with their address and length, at 52, 56 and 60.
    (func $answer (result i32)
      (i32.store (i32.const 32) (i32.const 0))
      (i32.store (i32.const 36) (i32.const 1024))
      (i32.store (i32.const 40) (i32.const 2))
      (i32.store (i32.const 44) (i32.const 1026))
      (i32.store (i32.const 48) (i32.const 10))
      (i32.store (i32.const 52) (i32.const 0))
      (i32.const 32))
