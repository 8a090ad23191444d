import type { HostTensor } from '@musubi/onnx-graph';
import type { Session } from '@musubi/runtime';

import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Placement, describeOperators, readPlacement } from '@musubi/runtime';

import type { Device } from './choose-device.ts';
import type { Closing } from './open-parts.ts';

import { TrainerError } from '../errors.ts';

/** Watches the first step of a session on a device other than the CPU. */
export interface PlacementWatch {
  /** Of the session request. */
  readonly profileFilePrefix: string;
  /** Ends the profile after the first step and tells where its nodes ran. */
  afterFirstStep(session: Session, feeds: Tensors, outputs: Tensors): Promise<void>;
}

type Tensors = Readonly<Record<string, HostTensor>>;

export interface PlacementOptions {
  readonly device: Device;
  readonly isStrict: boolean;
  readonly logger: (line: string) => void;
}

/** The profile lies in a folder of its own, which is removed when the run ends. */
export async function watchPlacement(options: PlacementOptions, closing: Closing): Promise<PlacementWatch> {
  const folder = await mkdtemp(join(tmpdir(), 'musubi-profile-'));
  closing.push(() => rm(folder, { recursive: true, force: true }));
  return {
    profileFilePrefix: join(folder, 'step'),
    async afterFirstStep(session, feeds, outputs) {
      options.logger(
        `a step moves ${inMegabytes(feeds)} to ${options.device.provider} and ${inMegabytes(outputs)} back`,
      );
      await session.endProfile();
      const [file] = await readdir(folder);
      if (file === undefined) return;
      report(readPlacement(await readFile(join(folder, file), 'utf8')), options);
    },
  };
}

/** Base weights are not among them: they go to the device once, when the graph is loaded. */
function inMegabytes(tensors: Tensors): string {
  const bytes = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

/** @throws {TrainerError} `DEVICE_LEFT` when it is strict and the CPU computed a part of the step */
export function report(placement: Placement, { device, isStrict, logger }: PlacementOptions): void {
  const { nodes, onCpu, shapeNodes, copies } = placement;
  const all = Object.values(nodes).reduce((sum, count) => sum + count, 0);
  const left = Object.values(onCpu).reduce((sum, count) => sum + count, 0);
  const shapes = `${shapeNodes} of shape arithmetic and ${left === 0 ? 'no' : left} others on the CPU`;
  const which = left === 0 ? '' : `: ${describeOperators(onCpu)}`;
  logger(`a step on ${device.provider}: ${all} nodes, ${shapes}, ${copies} copies between host and device${which}`);
  if (!isStrict || left === 0) return;
  throw new TrainerError(
    'DEVICE_LEFT',
    `strict_device: ${device.provider} left ${left} of ${all} nodes of a step to the CPU: ${describeOperators(onCpu)}.`,
    'Remove strict_device to train all the same, or choose another device.',
    { option: 'strict_device', operators: Object.keys(onCpu) },
  );
}
