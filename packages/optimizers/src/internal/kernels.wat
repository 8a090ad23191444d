;; The loop of adam-step.ts, four numbers at a time, in the same order of operations. `node scripts/build-kernels.mjs` writes
;; kernels-wasm.ts from this.
(module
  ;; a page of 64 KiB each for the parameters, their gradients, and their first and second moments
  (memory (export "memory") 4)

  ;; One step of the first $count parameters, a number above 0; of up to three more, whose values do not matter.
  (func (export "adamStep")
    (param $count i32) (param $keep f32) (param $decay f32) (param $firstShare f32) (param $secondKeep f32)
    (param $secondShare f32) (param $scale f32) (param $smallest f32)
    (local $at i32) (local $end i32)
    (local $keeps v128) (local $decays v128) (local $firstShares v128) (local $secondKeeps v128)
    (local $secondShares v128) (local $scales v128) (local $smallests v128)
    (local $p v128) (local $g v128) (local $m v128) (local $v v128)
    (local.set $keeps (f32x4.splat (local.get $keep)))
    (local.set $decays (f32x4.splat (local.get $decay)))
    (local.set $firstShares (f32x4.splat (local.get $firstShare)))
    (local.set $secondKeeps (f32x4.splat (local.get $secondKeep)))
    (local.set $secondShares (f32x4.splat (local.get $secondShare)))
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $smallests (f32x4.splat (local.get $smallest)))
    (local.set $end (i32.shl (local.get $count) (i32.const 2)))
    (loop $next
      (local.set $p (v128.load (local.get $at)))
      (local.set $g (f32x4.add
        (v128.load offset=0x10000 (local.get $at)) (f32x4.mul (local.get $decays) (local.get $p))))
      (local.set $m (v128.load offset=0x20000 (local.get $at)))
      (local.set $m (f32x4.add (local.get $m)
        (f32x4.mul (local.get $firstShares) (f32x4.sub (local.get $g) (local.get $m)))))
      (local.set $v (f32x4.add
        (f32x4.mul (v128.load offset=0x30000 (local.get $at)) (local.get $secondKeeps))
        (f32x4.mul (f32x4.mul (local.get $secondShares) (local.get $g)) (local.get $g))))
      (v128.store offset=0x20000 (local.get $at) (local.get $m))
      (v128.store offset=0x30000 (local.get $at) (local.get $v))
      (v128.store (local.get $at) (f32x4.add
        (f32x4.mul (local.get $p) (local.get $keeps))
        (f32x4.div
          (f32x4.mul (local.get $scales) (local.get $m))
          (f32x4.add (f32x4.sqrt (local.get $v)) (local.get $smallests)))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))))
