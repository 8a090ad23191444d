import type { HostTensor } from '@musubi/onnx-graph';
import type { Session } from '@musubi/runtime';

import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Placement, describeOperators, readPlacement } from '@musubi/runtime';
import { writeFileAtomic } from '@musubi/safetensors/node';

import type { Device } from './choose-device.ts';
import type { Closing } from './open-parts.ts';

import { TrainerError } from '../errors.ts';

/** Watches the first run of a session on a device other than the CPU, and of others after it. */
export interface PlacementWatch {
  /** Of the session request. */
  readonly profileFilePrefix: string;
  /** Ends the profile after that run and tells where its nodes ran. */
  afterFirstRun(session: Session, feeds: Tensors, outputs: Tensors): Promise<void>;
}

type Tensors = Readonly<Record<string, HostTensor>>;

export interface PlacementOptions {
  readonly device: Device;
  readonly isStrict: boolean;
  /** What runs, default `a step`. */
  readonly what?: string;
  /** Where the profile is kept; null, the default: nowhere. */
  readonly keepAs?: string | null;
  readonly logger: (line: string) => void;
}

/** The profile lies in a folder of its own, which is removed when the run ends; `keepAs` gets a copy of the first. */
export async function watchPlacement(options: PlacementOptions, closing: Closing): Promise<PlacementWatch> {
  const folder = await mkdtemp(join(tmpdir(), 'musubi-profile-'));
  closing.push(() => rm(folder, { recursive: true, force: true }));
  let isKept = false;
  return {
    profileFilePrefix: join(folder, 'run'),
    async afterFirstRun(session, feeds, outputs) {
      options.logger(
        `${options.what ?? 'a step'} moves ${inMegabytes(feeds)} to ${options.device.provider} and ${inMegabytes(outputs)} back`,
      );
      await session.endProfile();
      // by their time; a session that made room before its first run leaves one without a node
      const files = (await readdir(folder)).toSorted().map((file) => join(folder, file));
      const newest = files.at(-1);
      if (newest === undefined) return;
      const profile = await readFile(newest);
      // the next session writes one of its own
      for (const file of files) await rm(file);
      if (options.keepAs && !isKept) await writeFileAtomic(options.keepAs, profile);
      isKept = true;
      report(readPlacement(profile.toString('utf8')), options);
    },
  };
}

/** Base weights are not among them: they go to the device once, when the graph is loaded. */
function inMegabytes(tensors: Tensors): string {
  const bytes = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

/** @throws {TrainerError} `DEVICE_LEFT` when it is strict and the CPU computed a part of it */
export function report(placement: Placement, { device, isStrict, what = 'a step', logger }: PlacementOptions): void {
  const { nodes, onCpu, shapeNodes, copies } = placement;
  const all = Object.values(nodes).reduce((sum, count) => sum + count, 0);
  const left = Object.values(onCpu).reduce((sum, count) => sum + count, 0);
  const shapes = `${shapeNodes} of shape arithmetic and ${left === 0 ? 'no' : left} others on the CPU`;
  const which = left === 0 ? '' : `: ${describeOperators(onCpu)}`;
  logger(`${what} on ${device.provider}: ${all} nodes, ${shapes}, ${copies} copies between host and device${which}`);
  if (!isStrict || left === 0) return;
  throw new TrainerError(
    'DEVICE_LEFT',
    `strict_device: ${device.provider} left ${left} of ${all} nodes of ${what} to the CPU: ${describeOperators(onCpu)}.`,
    'Remove strict_device to go on all the same, or choose another device.',
    { option: 'strict_device', operators: Object.keys(onCpu) },
  );
}
