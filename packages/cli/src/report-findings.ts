import type { Finding } from '@musubi/trainer/node';

import type { CliContext } from './context.ts';

/** A report as a program reads it (`--json`). The fields of findings are stable; further ones may come. */
export interface FindingsReport {
  /** There are no errors. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

/** Prints findings, errors first, and how many there are; nothing but text, so that it reads the same everywhere. */
export function printFindings(findings: readonly Finding[], { stdout }: Pick<CliContext, 'stdout'>): void {
  for (const severity of ['error', 'warning'] as const) {
    for (const finding of findings) {
      if (finding.severity === severity) stdout.write(`${severity}: ${findingText(finding)}\n`);
    }
  }
}

/** `2 errors, 1 warning` */
export function countFindings(findings: readonly Finding[]): string {
  const count = (severity: Finding['severity'], plural: string) => {
    const { length } = findings.filter((finding) => finding.severity === severity);
    return length === 0 ? [] : [`${length} ${length === 1 ? severity : plural}`];
  };
  return [...count('error', 'errors'), ...count('warning', 'warnings')].join(', ');
}

export const isGood = (findings: readonly Finding[]): boolean => findings.every(({ severity }) => severity !== 'error');

/** One finding with its place, where the message does not name it, and its remedy. */
export function findingText({ where: { file, line }, message, remedy }: Finding): string {
  const place = file !== null && line !== null && !message.startsWith(file) ? `${file}, line ${line}: ` : '';
  const separator = message.includes('\n') ? '\n' : ' ';
  return place + message + (remedy === null ? '' : separator + remedy);
}
