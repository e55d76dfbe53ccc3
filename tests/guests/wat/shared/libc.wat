  ;; A memory of one page that grows, and an allocator that never frees.
  (core module $libc-module
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
      (result i32)
      (local $begin i32)
      (local.set $begin (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $begin) (local.get $size)))
      (block $there
        (loop $more
          (br_if $there
            (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
          (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))
          unreachable))
      (local.get $begin)))
  (core instance $libc (instantiate $libc-module))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
