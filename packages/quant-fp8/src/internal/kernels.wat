;; Inner loops of quantization, on four numbers at a time. Vector loops run past the end of what they are given by up to
;; three numbers: what they write there is overwritten by the next group or lies in the padding behind each region.
;; Addresses and counts are bytes and elements. wasm-engine.ts lays out the memory and calls them.
;; `node scripts/build-kernels.mjs` writes kernels-wasm.ts from this.
(module
  (memory (export "memory") 1)

  ;; bfloat16 at $from to float32 at $to: its bits are the upper half.
  (func (export "widenBf16") (param $from i32) (param $to i32) (param $count i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (if (i32.lt_u (local.get $to) (local.get $end)) (then
        (v128.store (local.get $to)
          (i32x4.shl (v128.load16x4_u (local.get $from)) (i32.const 16)))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (br $next)))))

  ;; float16 at $from to float32 at $to.
  (func (export "widenF16") (param $from i32) (param $to i32) (param $count i32)
    (local $end i32) (local $word v128) (local $magnitude v128) (local $shifted v128)
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (if (i32.lt_u (local.get $to) (local.get $end)) (then
        (local.set $word (v128.load16x4_u (local.get $from)))
        (local.set $magnitude (v128.and (local.get $word) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff)))
        (local.set $shifted (i32x4.shl (local.get $magnitude) (i32.const 13)))
        (v128.store (local.get $to)
          (v128.or
            (i32x4.shl
              (v128.and (local.get $word) (v128.const i32x4 0x8000 0x8000 0x8000 0x8000)) (i32.const 16))
            (v128.bitselect
              ;; subnormal: the mantissa counts steps of 2^-24
              (f32x4.mul (f32x4.convert_i32x4_s (local.get $magnitude))
                (v128.const f32x4 0x1p-24 0x1p-24 0x1p-24 0x1p-24))
              ;; normal: the exponent moves from bias 15 to 127; that of infinity and NaN becomes all ones
              (v128.or
                (i32x4.add (local.get $shifted) (v128.const i32x4 0x38000000 0x38000000 0x38000000 0x38000000))
                (v128.and
                  (i32x4.ge_s (local.get $magnitude) (v128.const i32x4 0x7c00 0x7c00 0x7c00 0x7c00))
                  (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000)))
              (i32x4.lt_s (local.get $magnitude) (v128.const i32x4 0x400 0x400 0x400 0x400)))))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (br $next)))))

  ;; Largest magnitude of each of $groups groups of $size float32 at $from, to $to. Magnitudes compare as integers, in
  ;; which infinity and then NaN are the largest. Returns the largest of all.
  (func (export "maxima") (param $from i32) (param $to i32) (param $groups i32) (param $size i32) (result f32)
    (local $all i32) (local $largest v128) (local $last i32) (local $end i32) (local $stop i32) (local $word i32)
    (local.set $stop (i32.add (local.get $to) (i32.shl (local.get $groups) (i32.const 2))))
    (loop $group
      (if (i32.lt_u (local.get $to) (local.get $stop)) (then
        (local.set $end (i32.add (local.get $from) (i32.shl (local.get $size) (i32.const 2))))
        (local.set $largest (v128.const i32x4 0 0 0 0))
        (loop $vector
          (if (i32.le_u (i32.add (local.get $from) (i32.const 16)) (local.get $end)) (then
            (local.set $largest (i32x4.max_s (local.get $largest)
              (v128.and (v128.load (local.get $from))
                (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))))
            (local.set $from (i32.add (local.get $from) (i32.const 16)))
            (br $vector))))
        (local.set $largest (i32x4.max_s (local.get $largest)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $largest) (local.get $largest))))
        (local.set $largest (i32x4.max_s (local.get $largest)
          (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $largest) (local.get $largest))))
        (local.set $last (i32x4.extract_lane 0 (local.get $largest)))
        (loop $single
          (if (i32.lt_u (local.get $from) (local.get $end)) (then
            (local.set $word (i32.and (i32.load (local.get $from)) (i32.const 0x7fffffff)))
            (local.set $last
              (select (local.get $word) (local.get $last) (i32.gt_s (local.get $word) (local.get $last))))
            (local.set $from (i32.add (local.get $from) (i32.const 4)))
            (br $single))))
        (i32.store (local.get $to) (local.get $last))
        (local.set $all
          (select (local.get $last) (local.get $all) (i32.gt_s (local.get $last) (local.get $all))))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (br $group))))
    (f32.reinterpret_i32 (local.get $all)))

  ;; Divides $count float32 at $at by $divisor, in place.
  (func (export "divide") (param $at i32) (param $count i32) (param $divisor f32)
    (local $end i32) (local $divisors v128)
    (local.set $divisors (f32x4.splat (local.get $divisor)))
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end)) (then
        (v128.store (local.get $at) (f32x4.div (v128.load (local.get $at)) (local.get $divisors)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))))

  ;; Raises $count float32 at $at, none of them NaN or below 0, to at least $smallest, in place.
  (func (export "raise") (param $at i32) (param $count i32) (param $smallest f32)
    (local $end i32) (local $least v128)
    (local.set $least (f32x4.splat (local.get $smallest)))
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end)) (then
        (v128.store (local.get $at) (i32x4.max_s (v128.load (local.get $at)) (local.get $least)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))))

  ;; codes = round(clamp(x / scale)) of $groups groups of $size float32 at $from, one scale each at $scales, to $to.
  ;; The format is given by: $shift, bits of float32's mantissa that go; $max, its largest value; $normal, its smallest
  ;; normal value; $adder, the power of two at which float32 numbers are one subnormal step apart (all as float32 bits).
  ;; Returns Σ x² and Σ (x − code·scale)² in float64, the product rounded to float32 (bits of $keep all ones, $half 0) or
  ;; to bfloat16 ($keep its upper half, $half 0x7fff). The sums are right where $size is a multiple of 4.
  (func (export "encode")
    (param $from i32) (param $scales i32) (param $to i32) (param $groups i32) (param $size i32)
    (param $shift i32) (param $max i32) (param $normal i32) (param $adder i32) (param $half i32) (param $keep i32)
    (result f64 f64)
    (local $halves v128) (local $odd v128) (local $keeps v128) (local $biases v128) (local $whole v128)
    (local $w v128) (local $sign v128) (local $isSmall v128) (local $rounded v128) (local $back v128)
    (local $low v128) (local $high v128) (local $norms v128) (local $distances v128)
    (local $maxima v128) (local $normals v128) (local $adders v128) (local $offsets v128) (local $ones v128)
    (local $scale v128) (local $x v128) (local $magnitude v128)
    (local $stop i32) (local $end i32) (local $nextGroup i32)
    (local.set $maxima (i32x4.splat (local.get $max)))
    (local.set $normals (i32x4.splat (local.get $normal)))
    (local.set $adders (i32x4.splat (local.get $adder)))
    (local.set $ones (v128.const i32x4 1 1 1 1))
    (local.set $halves (i32x4.splat (local.get $half)))
    (local.set $odd (i32x4.splat (i32.and (local.get $half) (i32.const 1))))
    (local.set $keeps (i32x4.splat (local.get $keep)))
    (local.set $biases (i32x4.splat (i32.sub (local.get $normal) (i32.const 0x800000))))
    (local.set $whole (i32x4.splat (i32.shl (i32.const -1) (local.get $shift))))
    ;; half a unit in the last place but one, less the difference of the exponents' biases
    (local.set $offsets (i32x4.splat (i32.sub
      (i32.sub (i32.shl (i32.const 1) (i32.sub (local.get $shift) (i32.const 1))) (i32.const 1))
      (i32.sub (local.get $normal) (i32.const 0x800000)))))
    (local.set $stop (i32.add (local.get $scales) (i32.shl (local.get $groups) (i32.const 2))))
    (loop $group
      (if (i32.lt_u (local.get $scales) (local.get $stop)) (then
        (local.set $scale (v128.load32_splat (local.get $scales)))
        (local.set $nextGroup (i32.add (local.get $from) (i32.shl (local.get $size) (i32.const 2))))
        (local.set $end (i32.add (local.get $to) (local.get $size)))
        (loop $vector
          (if (i32.lt_u (local.get $to) (local.get $end)) (then
            (local.set $w (v128.load (local.get $from)))
            (local.set $x (f32x4.div (local.get $w) (local.get $scale)))
            ;; 0/0 counts as zero
            (local.set $x (v128.and (local.get $x) (f32x4.eq (local.get $x) (local.get $x))))
            (local.set $sign
              (v128.and (local.get $x) (v128.const i32x4 0x80000000 0x80000000 0x80000000 0x80000000)))
            (local.set $magnitude (i32x4.min_s (local.get $maxima)
              (v128.and (local.get $x) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))))
            (local.set $isSmall (i32x4.lt_s (local.get $magnitude) (local.get $normals)))
            ;; normal: to nearest, ties to even
            (local.set $rounded (i32x4.add
              (i32x4.add (local.get $magnitude) (local.get $offsets))
              (v128.and (i32x4.shr_u (local.get $magnitude) (local.get $shift)) (local.get $ones))))
            ;; subnormal: float32's adder rounds at the right place
            (local.set $magnitude (f32x4.add (local.get $magnitude) (local.get $adders)))
            (local.set $x (v128.or
              (i32x4.shr_u (local.get $sign) (i32.const 24))
              (v128.bitselect
                (i32x4.sub (local.get $magnitude) (local.get $adders))
                (i32x4.shr_u (local.get $rounded) (local.get $shift))
                (local.get $isSmall))))
            (v128.store32_lane 0 (local.get $to)
              (i8x16.shuffle 0 4 8 12 0 4 8 12 0 4 8 12 0 4 8 12 (local.get $x) (local.get $x)))
            ;; the number that the code stands for, and its error
            (local.set $back (f32x4.mul (local.get $scale) (v128.or (local.get $sign) (v128.bitselect
              (f32x4.sub (local.get $magnitude) (local.get $adders))
              (i32x4.add (v128.and (local.get $rounded) (local.get $whole)) (local.get $biases))
              (local.get $isSmall)))))
            (local.set $back (v128.and (local.get $keeps) (i32x4.add
              (i32x4.add (local.get $back) (local.get $halves))
              (v128.and (i32x4.shr_u (local.get $back) (i32.const 16)) (local.get $odd)))))
            (local.set $low (f64x2.promote_low_f32x4 (local.get $w)))
            (local.set $high (f64x2.promote_low_f32x4
              (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $w) (local.get $w))))
            (local.set $norms (f64x2.add (local.get $norms) (f64x2.add
              (f64x2.mul (local.get $low) (local.get $low)) (f64x2.mul (local.get $high) (local.get $high)))))
            (local.set $low (f64x2.sub (local.get $low) (f64x2.promote_low_f32x4 (local.get $back))))
            (local.set $high (f64x2.sub (local.get $high) (f64x2.promote_low_f32x4
              (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $back) (local.get $back)))))
            (local.set $distances (f64x2.add (local.get $distances) (f64x2.add
              (f64x2.mul (local.get $low) (local.get $low)) (f64x2.mul (local.get $high) (local.get $high)))))
            (local.set $from (i32.add (local.get $from) (i32.const 16)))
            (local.set $to (i32.add (local.get $to) (i32.const 4)))
            (br $vector))))
        (local.set $from (local.get $nextGroup))
        (local.set $to (local.get $end))
        (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
        (br $group))))
    (f64.add (f64x2.extract_lane 0 (local.get $norms)) (f64x2.extract_lane 1 (local.get $norms)))
    (f64.add (f64x2.extract_lane 0 (local.get $distances)) (f64x2.extract_lane 1 (local.get $distances))))

  ;; code·scale as float32 of $groups groups of $size codes at $from, one scale each at $scales, to $to. $special is the
  ;; first magnitude that is no finite number, $step the smallest positive value; the rest as in encode.
  (func (export "decode")
    (param $from i32) (param $scales i32) (param $to i32) (param $groups i32) (param $size i32)
    (param $shift i32) (param $normal i32) (param $special i32) (param $step f32)
    (local $biases v128) (local $specials v128) (local $steps v128)
    (local $scale v128) (local $code v128) (local $magnitude v128) (local $shifted v128)
    (local $stop i32) (local $end i32) (local $nextGroup i32)
    (local.set $biases (i32x4.splat (i32.sub (local.get $normal) (i32.const 0x800000))))
    (local.set $specials (i32x4.splat (local.get $special)))
    (local.set $steps (f32x4.splat (local.get $step)))
    (local.set $stop (i32.add (local.get $scales) (i32.shl (local.get $groups) (i32.const 2))))
    (loop $group
      (if (i32.lt_u (local.get $scales) (local.get $stop)) (then
        (local.set $scale (v128.load32_splat (local.get $scales)))
        (local.set $end (i32.add (local.get $from) (local.get $size)))
        (local.set $nextGroup (i32.add (local.get $to) (i32.shl (local.get $size) (i32.const 2))))
        (loop $vector
          (if (i32.lt_u (local.get $from) (local.get $end)) (then
            (local.set $code (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (v128.load32_zero (local.get $from)))))
            (local.set $magnitude (v128.and (local.get $code) (v128.const i32x4 0x7f 0x7f 0x7f 0x7f)))
            (local.set $shifted (i32x4.shl (local.get $magnitude) (local.get $shift)))
            (v128.store (local.get $to)
              (f32x4.mul (local.get $scale)
                (v128.or
                  (i32x4.shl
                    (v128.and (local.get $code) (v128.const i32x4 0x80 0x80 0x80 0x80)) (i32.const 24))
                  (v128.bitselect
                    (f32x4.mul (f32x4.convert_i32x4_s (local.get $magnitude)) (local.get $steps))
                    (v128.or
                      (i32x4.add (local.get $shifted) (local.get $biases))
                      (v128.and
                        (i32x4.ge_s (local.get $magnitude) (local.get $specials))
                        (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000)))
                    (i32x4.lt_s (local.get $shifted)
                      (v128.const i32x4 0x800000 0x800000 0x800000 0x800000))))))
            (local.set $from (i32.add (local.get $from) (i32.const 4)))
            (local.set $to (i32.add (local.get $to) (i32.const 16)))
            (br $vector))))
        (local.set $from (local.get $end))
        (local.set $to (local.get $nextGroup))
        (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
        (br $group)))))

  ;; float32 at $from to bfloat16 at $to, to nearest, ties to even; NaN is 0x7FC0.
  (func (export "narrowBf16") (param $from i32) (param $to i32) (param $count i32)
    (local $end i32) (local $word v128)
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (if (i32.lt_u (local.get $from) (local.get $end)) (then
        (local.set $word (v128.load (local.get $from)))
        (local.set $word (v128.bitselect
          (i32x4.shr_u
            (i32x4.add
              (i32x4.add (local.get $word) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff))
              (v128.and (i32x4.shr_u (local.get $word) (i32.const 16)) (v128.const i32x4 1 1 1 1)))
            (i32.const 16))
          (v128.const i32x4 0x7fc0 0x7fc0 0x7fc0 0x7fc0)
          (f32x4.eq (local.get $word) (local.get $word))))
        (v128.store64_lane 0 (local.get $to) (i16x8.narrow_i32x4_u
          ;; the narrowing saturates signed numbers: these are all below 2^16
          (local.get $word) (local.get $word)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))
        (br $next)))))

  ;; float32 at $from to float16 at $to, to nearest, ties to even; from 65520 up infinity; NaN is 0x7E00 with its sign.
  (func (export "narrowF16") (param $from i32) (param $to i32) (param $count i32)
    (local $end i32) (local $word v128) (local $magnitude v128)
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (if (i32.lt_u (local.get $from) (local.get $end)) (then
        (local.set $word (v128.load (local.get $from)))
        (local.set $magnitude (v128.and (local.get $word)
          (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff)))
        (local.set $word (v128.or
          (i32x4.shr_u
            (v128.and (local.get $word) (v128.const i32x4 0x80000000 0x80000000 0x80000000 0x80000000))
            (i32.const 16))
          (v128.bitselect
            (v128.bitselect
              (i32x4.sub
                (f32x4.add (local.get $magnitude) (v128.const f32x4 0.5 0.5 0.5 0.5))
                (v128.const i32x4 0x3f000000 0x3f000000 0x3f000000 0x3f000000))
              (i32x4.shr_u
                (i32x4.add
                  (i32x4.add (local.get $magnitude)
                    (v128.const i32x4 0xc8000fff 0xc8000fff 0xc8000fff 0xc8000fff))
                  (v128.and (i32x4.shr_u (local.get $magnitude) (i32.const 13)) (v128.const i32x4 1 1 1 1)))
                (i32.const 13))
              (i32x4.lt_s (local.get $magnitude)
                (v128.const i32x4 0x38800000 0x38800000 0x38800000 0x38800000)))
            (v128.bitselect
              (v128.const i32x4 0x7c00 0x7c00 0x7c00 0x7c00)
              (v128.const i32x4 0x7e00 0x7e00 0x7e00 0x7e00)
              (f32x4.eq (local.get $word) (local.get $word)))
            (i32x4.lt_s (local.get $magnitude)
              (v128.const i32x4 0x477ff000 0x477ff000 0x477ff000 0x477ff000)))))
        (v128.store64_lane 0 (local.get $to) (i16x8.narrow_i32x4_u (local.get $word) (local.get $word)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))
        (br $next)))))

  ;; Σ a² and Σ (a − b)² of $count float32, in float64.
  (func (export "errors") (param $a i32) (param $b i32) (param $count i32) (result f64 f64)
    (local $end i32) (local $x v128) (local $y v128) (local $low v128) (local $high v128)
    (local $norms v128) (local $distances v128) (local $norm f64) (local $distance f64) (local $d f64)
    (local.set $end (i32.add (local.get $a) (i32.shl (local.get $count) (i32.const 2))))
    (loop $vector
      (if (i32.le_u (i32.add (local.get $a) (i32.const 16)) (local.get $end)) (then
        (local.set $x (v128.load (local.get $a)))
        (local.set $y (v128.load (local.get $b)))
        (local.set $low (f64x2.promote_low_f32x4 (local.get $x)))
        (local.set $high (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $x) (local.get $x))))
        (local.set $norms (f64x2.add (local.get $norms) (f64x2.add
          (f64x2.mul (local.get $low) (local.get $low)) (f64x2.mul (local.get $high) (local.get $high)))))
        (local.set $low (f64x2.sub (local.get $low) (f64x2.promote_low_f32x4 (local.get $y))))
        (local.set $high (f64x2.sub (local.get $high) (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $y) (local.get $y)))))
        (local.set $distances (f64x2.add (local.get $distances) (f64x2.add
          (f64x2.mul (local.get $low) (local.get $low)) (f64x2.mul (local.get $high) (local.get $high)))))
        (local.set $a (i32.add (local.get $a) (i32.const 16)))
        (local.set $b (i32.add (local.get $b) (i32.const 16)))
        (br $vector))))
    (local.set $norm
      (f64.add (f64x2.extract_lane 0 (local.get $norms)) (f64x2.extract_lane 1 (local.get $norms))))
    (local.set $distance
      (f64.add (f64x2.extract_lane 0 (local.get $distances)) (f64x2.extract_lane 1 (local.get $distances))))
    (loop $single
      (if (i32.lt_u (local.get $a) (local.get $end)) (then
        (local.set $d (f64.promote_f32 (f32.load (local.get $a))))
        (local.set $norm (f64.add (local.get $norm) (f64.mul (local.get $d) (local.get $d))))
        (local.set $d (f64.sub (local.get $d) (f64.promote_f32 (f32.load (local.get $b)))))
        (local.set $distance (f64.add (local.get $distance) (f64.mul (local.get $d) (local.get $d))))
        (local.set $a (i32.add (local.get $a) (i32.const 4)))
        (local.set $b (i32.add (local.get $b) (i32.const 4)))
        (br $single))))
    (local.get $norm) (local.get $distance)))
