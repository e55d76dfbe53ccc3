  (core instance $guest (instantiate $guest-module
    (with "libc" (instance $libc))
    (with "resources" (instance $resources))))
