import type { GradientRule } from './rule.ts';

import { attention } from './attention.ts';
import { elementwise } from './elementwise.ts';
import { linearAlgebra } from './linear-algebra.ts';
import { movement } from './movement.ts';
import { nn } from './nn.ts';
import { normalization } from './normalization.ts';
import { reduction } from './reduction.ts';

/** Operator to gradient rule. */
export const gradientRules: Readonly<Record<string, GradientRule>> = {
  ...elementwise,
  ...linearAlgebra,
  ...movement,
  ...reduction,
  ...normalization,
  ...nn,
  ...attention,
};

/** Operators whose output does not depend on its inputs' values in a differentiable way. No gradient passes them. */
export const nonDifferentiable: ReadonlySet<string> = new Set([
  'And',
  'ConstantOfShape',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Not',
  'Or',
  'Shape',
  'Sign',
]);
