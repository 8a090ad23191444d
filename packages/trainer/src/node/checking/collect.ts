import type { DatasetWarning } from '@musubi/dataset';

import { type Finding, type FindingPlace, findingsOf, nowhere } from '../../findings.ts';

/** Findings in the making. */
export interface Collector {
  readonly findings: readonly Finding[];
  /**
   * Does a step of a run. What it finds wrong is noted, with `place` where the error names none.
   *
   * @returns null when it failed
   */
  attempt<T>(
    step: () => T | Promise<T>,
    place?: Partial<FindingPlace>,
    severity?: Finding['severity'],
  ): Promise<T | null>;
  error(code: string, place: Partial<FindingPlace>, message: string, remedy: string): void;
  warn(code: string, place: Partial<FindingPlace>, message: string, remedy: string): void;
  /** Notes an error that somebody else has caught. */
  readonly caught: (error: unknown) => void;
  /** Notes a warning of the data set. */
  readonly warning: (warning: DatasetWarning) => void;
}

export function createCollector(): Collector {
  const findings: Finding[] = [];
  const add = (finding: Finding) => {
    const text = JSON.stringify(finding);
    if (!findings.some((other) => JSON.stringify(other) === text)) findings.push(finding);
  };
  const told =
    (severity: Finding['severity']) =>
    (code: string, place: Partial<FindingPlace>, message: string, remedy: string): void =>
      add({ severity, code, where: { ...nowhere, ...place }, message, remedy });
  return {
    findings,
    async attempt(step, place, severity) {
      try {
        return await step();
      } catch (error) {
        findingsOf(error, place, severity).forEach(add);
        return null;
      }
    },
    error: told('error'),
    warn: told('warning'),
    caught: (error) => findingsOf(error).forEach(add),
    warning: ({ code, message }) => add({ severity: 'warning', code, where: nowhere, message, remedy: null }),
  };
}
