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

type Expect = typeof chai.expect & Record<string, unknown>;

export const expect = createExpect();

/** As `createExpect` of vitest, without snapshot files and polling. */
function createExpect(): Expect {
  const known = (value: unknown, message?: string) => {
    const { assertionCalls } = getState(expect as never);
    setState({ assertionCalls: assertionCalls + 1 }, expect as never);
    const assertion = chai.expect(value, message);
    const test = getCurrentTest();
    return test ? assertion.withTest(test) : assertion;
  };
  const matchers = (globalThis as unknown as Record<symbol, object>)[ASYMMETRIC_MATCHERS_OBJECT];
  const made = Object.assign(known, chai.expect, matchers) as unknown as Expect;
  made['getState'] = () => getState(made as never);
  made['setState'] = (state: object) => setState(state, made as never);
  made['extend'] = (more: never) => chai.expect.extend(made as never, more);
  setState({ assertionCalls: 0, isExpectingAssertions: false } as never, made as never);
  chai.expect.extend(made as never, customMatchers);
  chai.expect.extend(made as never, snapshotMatchers as never);
  return made;
}
