;; The loop of adam-step.ts, two numbers at a time, in the same order of operations. `node scripts/build-kernels.mjs` writes
;; kernels-wasm.ts from this.
(module
  ;; a page of 64 KiB each for the parameters, their gradients, and their first and second moments
  (memory (export "memory") 4)

  ;; One step of the first $count parameters, a number above 0; of up to three more, whose values do not matter.
  (func (export "adamStep")
    (param $count i32) (param $keep f64) (param $decay f64) (param $firstShare f64) (param $secondKeep f64)
    (param $secondShare f64) (param $scale f64) (param $smallest f64)
    (local $at i32) (local $end i32)
    (local $keeps v128) (local $decays v128) (local $firstShares v128) (local $secondKeeps v128)
    (local $secondShares v128) (local $scales v128) (local $smallests v128)
    (local $p v128) (local $g v128) (local $m v128) (local $v v128)
    (local.set $keeps (f64x2.splat (local.get $keep)))
    (local.set $decays (f64x2.splat (local.get $decay)))
    (local.set $firstShares (f64x2.splat (local.get $firstShare)))
    (local.set $secondKeeps (f64x2.splat (local.get $secondKeep)))
    (local.set $secondShares (f64x2.splat (local.get $secondShare)))
    (local.set $scales (f64x2.splat (local.get $scale)))
    (local.set $smallests (f64x2.splat (local.get $smallest)))
    (local.set $end (i32.shl (local.get $count) (i32.const 2)))
    (loop $next
      (local.set $p (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $at))))
      (local.set $g (f64x2.add
        (f64x2.promote_low_f32x4 (v128.load64_zero offset=0x10000 (local.get $at)))
        (f64x2.mul (local.get $decays) (local.get $p))))
      (local.set $m (f64x2.promote_low_f32x4 (v128.load64_zero offset=0x20000 (local.get $at))))
      (local.set $m (f32x4.demote_f64x2_zero (f64x2.add (local.get $m)
        (f64x2.mul (local.get $firstShares) (f64x2.sub (local.get $g) (local.get $m))))))
      (local.set $v (f32x4.demote_f64x2_zero (f64x2.add
        (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=0x30000 (local.get $at))) (local.get $secondKeeps))
        (f64x2.mul (f64x2.mul (local.get $secondShares) (local.get $g)) (local.get $g)))))
      (v128.store64_lane offset=0x20000 0 (local.get $at) (local.get $m))
      (v128.store64_lane offset=0x30000 0 (local.get $at) (local.get $v))
      (v128.store64_lane 0 (local.get $at) (f32x4.demote_f64x2_zero (f64x2.add
        (f64x2.mul (local.get $p) (local.get $keeps))
        (f64x2.div
          (f64x2.mul (local.get $scales) (f64x2.promote_low_f32x4 (local.get $m)))
          (f64x2.add (f64x2.sqrt (f64x2.promote_low_f32x4 (local.get $v))) (local.get $smallests))))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))))
