import { commandTable, findCommand, optionsOf } from '@musubi/config';
import { expect, test } from 'vitest';

import { commandHelp, programHelp } from './help.ts';

test('the program lists its commands', () => {
  expect(programHelp('1.2.3')).toMatchInlineSnapshot(`
    "musubi 1.2.3: train LoRA adapters for diffusion transformers, without Python.

    Usage: musubi COMMAND [OPTIONS]

    Before a run
      init                            Write a configuration and a dataset configuration, with a comment
                                      at each value.
      validate                        Look at options, dataset, pictures, caches and checkpoints, and
                                      list all that is wrong.
      doctor                          Say what this machine has for training, and what to do about what
                                      it lacks.

    Commands
      cache_latents                   Encode pictures for training, with --architecture wan.
      cache_text_encoder_outputs      Encode captions for training, with --architecture wan.
      train                           Train a LoRA for Wan 2.1 or 2.2 text-to-video.
      lora_post_hoc_ema               Average adapters that one run has saved.
      merge_lora                      Merge adapters into a checkpoint.
      convert_lora                    Convert an adapter to the layout of ComfyUI and Diffusers, or
                                      back.
      quantize                        Write a checkpoint whose weights are 8-bit floats, and print the
                                      error of each.
      estimate                        Tell the memory and time that a training run needs, and settings
                                      that fit. Takes the options of train.
      inspect                         Tell what is in an .onnx file: operators, FLOPs, memory over its
                                      run.
      validate [COMMAND] …            Check options, datasets and files, and list everything that is
                                      wrong.
      completion SHELL                Print a script that completes commands and options: bash, zsh,
                                      fish, powershell.
      run -- COMMAND LINE             Run a command line written for the original, as it is.
      wandb sync [PATH …]             Send runs to wandb that it does not have all of, from their files
                                      or folders.

    The original's scripts are other names of them: wan_cache_latents, wan_cache_text_encoder_outputs,
    wan_train_network.
    musubi COMMAND --help lists the options of a command, with --all every one; musubi COMMAND
    --print_config … shows their values. musubi --version shows the version.
    "
  `);
});

test('a command lists its options in groups', () => {
  const command = findCommand('train');
  expect(command && commandHelp(command, true)).toMatchSnapshot();
});

test('without --all it has what most runs need', () => {
  const command = findCommand('train');
  const short = command ? commandHelp(command, false) : '';
  expect(short).toContain('--learning_rate');
  expect(short).not.toContain('--lr_scheduler_power');
  expect(short.split('\n').length).toBeLessThan(100);
});

test.each(commandTable.filter(({ isNameOnly }) => !isNameOnly))(
  'every option of $name stands in its help, in lines of at most 100 columns',
  (command) => {
    const text = commandHelp(command, true);
    const missing = optionsOf(command).filter(
      ({ name, isPositional }) => !new RegExp(isPositional ? name.toUpperCase() : `\\b${name}\\b`).test(text),
    );
    expect(missing).toEqual([]);
    expect(text.split('\n').filter((line) => line.length > 100)).toEqual([]);
  },
);
