/** Options of the runs that are made in Node.js and in browsers: 20 steps of one batch each. */
export const browserOptions =
  '--max_train_steps 20 --gradient_accumulation_steps 1 --save_every_n_steps 1000 --lr_scheduler constant --lr_warmup_steps 0';
