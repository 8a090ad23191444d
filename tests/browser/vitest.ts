// Takes the place of `vitest` in tests that run in a browser: its own runner and matchers, without what needs Node.js.
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  customMatchers,
  getState,
  setState,
} from '@vitest/expect';
import { getCurrentTest } from '@vitest/runner';
import * as chai from 'chai';

import { snapshotMatchers } from './snapshots.ts';

export {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  it,
  onTestFailed,
  onTestFinished,
  suite,
  test,
} from '@vitest/runner';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

/** With what the three plugins add, of which the types of chai do not know. */
interface Expect {
  (value: unknown, message?: string): unknown;
  getState(): object;
  setState(state: object): void;
  extend(matchers: object): void;
}
const plugged = chai.expect as unknown as {
  (value: unknown, message?: string): { withTest(test: object): unknown };
  extend(expect: Expect, matchers: object): void;
};

export const expect = createExpect();

/** As `createExpect` of vitest, without snapshot files and polling. */
function createExpect(): Expect {
  const check = (value: unknown, message?: string): unknown => {
    const { assertionCalls } = getState(made as never);
    setState({ assertionCalls: assertionCalls + 1 }, made as never);
    const assertion = plugged(value, message);
    const test = getCurrentTest();
    return test ? assertion.withTest(test) : assertion;
  };
  const asymmetric = (globalThis as unknown as Record<symbol, object>)[ASYMMETRIC_MATCHERS_OBJECT];
  const made: Expect = Object.assign(check, plugged, asymmetric, {
    getState: () => getState(made as never),
    setState: (state: object) => setState(state, made as never),
    extend: (matchers: object) => plugged.extend(made, matchers),
  });
  setState({ assertionCalls: 0, isExpectingAssertions: false } as never, made as never);
  made.extend(customMatchers);
  made.extend(snapshotMatchers);
  return made;
}
