;; The loops of area-average.ts and lanczos.ts, 16 samples at a time. Pointers are in bytes. Blocks may read and write up to 64
;; bytes past the end of a row; the caller leaves room for it. `node scripts/build-kernels.mjs` writes kernels-wasm.ts from this.
(module
  (memory (export "memory") 1)

  ;; sums[i] = sum over k of weights[k] * rows[k * stride + i], for 0 <= i < stride.
  ;; weights: 16 bits, taps of them, an even number; two rows at a time, as i32x4.dot_i16x8_s adds products of neighbours.
  (func (export "sumRows")
    (param $sums i32) (param $rows i32) (param $stride i32) (param $weights i32) (param $taps i32)
    (local $x i32) (local $k i32) (local $from i32) (local $weight i32)
    (local $pair v128) (local $upper v128) (local $lower v128) (local $mixed v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (loop $block
      (local.set $a (v128.const i32x4 0 0 0 0))
      (local.set $b (v128.const i32x4 0 0 0 0))
      (local.set $c (v128.const i32x4 0 0 0 0))
      (local.set $d (v128.const i32x4 0 0 0 0))
      (local.set $from (i32.add (local.get $rows) (local.get $x)))
      (local.set $weight (local.get $weights))
      (local.set $k (local.get $taps))
      (loop $tap
        (local.set $pair (v128.load32_splat (local.get $weight)))
        (local.set $upper (v128.load (local.get $from)))
        (local.set $lower (v128.load (i32.add (local.get $from) (local.get $stride))))
        (local.set $mixed (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $upper) (local.get $lower)))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_u (local.get $mixed)) (local.get $pair))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_u (local.get $mixed)) (local.get $pair))))
        (local.set $mixed
          (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $upper) (local.get $lower)))
        (local.set $c (i32x4.add (local.get $c)
          (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_u (local.get $mixed)) (local.get $pair))))
        (local.set $d (i32x4.add (local.get $d)
          (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_u (local.get $mixed)) (local.get $pair))))
        (local.set $from (i32.add (local.get $from) (i32.shl (local.get $stride) (i32.const 1))))
        (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
        (br_if $tap (i32.gt_s (local.tee $k (i32.sub (local.get $k) (i32.const 2))) (i32.const 0))))
      (v128.store (local.get $sums) (local.get $a))
      (v128.store offset=16 (local.get $sums) (local.get $b))
      (v128.store offset=32 (local.get $sums) (local.get $c))
      (v128.store offset=48 (local.get $sums) (local.get $d))
      (local.set $sums (i32.add (local.get $sums) (i32.const 64)))
      (br_if $block
        (i32.lt_s (local.tee $x (i32.add (local.get $x) (i32.const 16))) (local.get $stride)))))

  ;; out[x] = nearest(sum over k of weights[x, k] * sums[starts[x] + k] / whole + nudge), a pixel at a time, in doubles.
  ;; starts: first pixel of each result; weights: 32 bits, [count, taps].
  (func (export "averageColumns")
    (param $out i32) (param $sums i32) (param $starts i32) (param $weights i32)
    (param $count i32) (param $taps i32) (param $channels i32) (param $whole f64) (param $nudge f64)
    (local $k i32) (local $from i32) (local $pixel i32)
    (local $value v128) (local $weight v128) (local $low v128) (local $high v128) (local $total v128) (local $shift v128)
    (local.set $total (f64x2.splat (local.get $whole)))
    (local.set $shift (f64x2.splat (local.get $nudge)))
    (local.set $pixel (i32.shl (local.get $channels) (i32.const 2)))
    (loop $result
      (local.set $from
        (i32.add (local.get $sums) (i32.mul (i32.load (local.get $starts)) (local.get $pixel))))
      (local.set $low (v128.const f64x2 0 0))
      (local.set $high (v128.const f64x2 0 0))
      (local.set $k (local.get $taps))
      (loop $tap
        (local.set $value (v128.load (local.get $from)))
        (local.set $weight (f64x2.convert_low_i32x4_s (v128.load32_splat (local.get $weights))))
        (local.set $low (f64x2.add (local.get $low)
          (f64x2.mul (f64x2.convert_low_i32x4_s (local.get $value)) (local.get $weight))))
        (local.set $high (f64x2.add (local.get $high)
          (f64x2.mul
            (f64x2.convert_low_i32x4_s
              (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $value) (local.get $value)))
            (local.get $weight))))
        (local.set $from (i32.add (local.get $from) (local.get $pixel)))
        (local.set $weights (i32.add (local.get $weights) (i32.const 4)))
        (br_if $tap (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (local.set $low (i32x4.trunc_sat_f64x2_s_zero
        (f64x2.nearest (f64x2.add (f64x2.div (local.get $low) (local.get $total)) (local.get $shift)))))
      (local.set $high (i32x4.trunc_sat_f64x2_s_zero
        (f64x2.nearest (f64x2.add (f64x2.div (local.get $high) (local.get $total)) (local.get $shift)))))
      (local.set $value
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $low) (local.get $high)))
      (local.set $value (i16x8.narrow_i32x4_s (local.get $value) (local.get $value)))
      (v128.store32_lane 0 (local.get $out) (i8x16.narrow_i16x8_u (local.get $value) (local.get $value)))
      (local.set $out (i32.add (local.get $out) (local.get $channels)))
      (local.set $starts (i32.add (local.get $starts) (i32.const 4)))
      (br_if $result (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; out[x] = clamp((half + sum over k of weights[x, k] * row[starts[x] + k]) >> 22), a pixel at a time.
  ;; starts: first pixel of each result; weights: 32 bits, [count, taps].
  (func (export "resampleRow")
    (param $out i32) (param $row i32) (param $starts i32) (param $weights i32)
    (param $count i32) (param $taps i32) (param $channels i32)
    (local $k i32) (local $from i32) (local $sum v128)
    (loop $result
      (local.set $from
        (i32.add (local.get $row) (i32.mul (i32.load (local.get $starts)) (local.get $channels))))
      (local.set $sum (v128.const i32x4 0x200000 0x200000 0x200000 0x200000))
      (local.set $k (local.get $taps))
      (loop $tap
        (local.set $sum (i32x4.add (local.get $sum)
          (i32x4.mul
            (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (v128.load32_zero (local.get $from))))
            (v128.load32_splat (local.get $weights)))))
        (local.set $from (i32.add (local.get $from) (local.get $channels)))
        (local.set $weights (i32.add (local.get $weights) (i32.const 4)))
        (br_if $tap (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (local.set $sum (i32x4.shr_s (local.get $sum) (i32.const 22)))
      (local.set $sum (i16x8.narrow_i32x4_s (local.get $sum) (local.get $sum)))
      (v128.store32_lane 0 (local.get $out) (i8x16.narrow_i16x8_u (local.get $sum) (local.get $sum)))
      (local.set $out (i32.add (local.get $out) (local.get $channels)))
      (local.set $starts (i32.add (local.get $starts) (i32.const 4)))
      (br_if $result (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; out[i] = clamp((half + sum over k of weights[k] * rows[k * stride + i]) >> 22), for 0 <= i < stride.
  ;; weights: 32 bits, taps of them.
  (func (export "resampleColumn")
    (param $out i32) (param $rows i32) (param $stride i32) (param $weights i32) (param $taps i32)
    (local $x i32) (local $k i32) (local $from i32) (local $weight i32)
    (local $factor v128) (local $samples v128) (local $part v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (loop $block
      (local.set $a (v128.const i32x4 0x200000 0x200000 0x200000 0x200000))
      (local.set $b (local.get $a))
      (local.set $c (local.get $a))
      (local.set $d (local.get $a))
      (local.set $from (i32.add (local.get $rows) (local.get $x)))
      (local.set $weight (local.get $weights))
      (local.set $k (local.get $taps))
      (loop $tap
        (local.set $factor (v128.load32_splat (local.get $weight)))
        (local.set $samples (v128.load (local.get $from)))
        (local.set $part (i16x8.extend_low_i8x16_u (local.get $samples)))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.mul (i32x4.extend_low_i16x8_u (local.get $part)) (local.get $factor))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.mul (i32x4.extend_high_i16x8_u (local.get $part)) (local.get $factor))))
        (local.set $part (i16x8.extend_high_i8x16_u (local.get $samples)))
        (local.set $c (i32x4.add (local.get $c)
          (i32x4.mul (i32x4.extend_low_i16x8_u (local.get $part)) (local.get $factor))))
        (local.set $d (i32x4.add (local.get $d)
          (i32x4.mul (i32x4.extend_high_i16x8_u (local.get $part)) (local.get $factor))))
        (local.set $from (i32.add (local.get $from) (local.get $stride)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
        (br_if $tap (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (v128.store (i32.add (local.get $out) (local.get $x))
        (i8x16.narrow_i16x8_u
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $a) (i32.const 22)) (i32x4.shr_s (local.get $b) (i32.const 22)))
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $c) (i32.const 22)) (i32x4.shr_s (local.get $d) (i32.const 22)))))
      (br_if $block
        (i32.lt_s (local.tee $x (i32.add (local.get $x) (i32.const 16))) (local.get $stride))))))
