"""Faults of every kind, each provoked by a test.  What users are promised is in ``docs/faults.md``.

======================================================================  ==========================================
fault                                                                   provoked in
======================================================================  ==========================================
text and Python objects that are not what they should be                faults/test_text.py, test_elmo.py
options, weights, softmaxes, zips and folders, damaged or hostile       faults/test_models.py, files/
flipped bytes and tables that lead astray in HDF5 files                 faults/test_flips.py
any bytes in any of these                                               faults/fuzz/
many threads and processes on one model                                 network/test_concurrency.py
a crash after any step of a run, with what was not synced lost          faults/test_crashes.py
``kill -9``, again and again                                            faults/test_crashes.py, corpus/test_embed.py
an exception after any window; a carried state                          corpus/test_embed.py
full and failing disks, quotas, folders, files that grow too large      faults/test_runs.py, corpus/test_embed.py
signals, once and in bursts; ignored ones; other threads                faults/test_runs.py
standard output or error without a reader, or on a full disk            faults/test_runs.py
outputs that are inputs, links, devices, foreign, or appear meanwhile   faults/test_runs.py
two runs on one output, also at the end of the first                    faults/test_runs.py, corpus/test_embed.py
unfinished files that are cut, deleted, of another text or model        faults/test_runs.py, corpus/test_resume.py
another text, another cut, workers that die, on a cluster               interfaces/test_dask.py
other platforms, imitated: locks, open files, encodings, syncing        faults/test_runs.py
a file written in another way than `numpy_elmo.files.writing`           files/test_one_writer.py
======================================================================  ==========================================
"""
