"""What it costs to count what the second pass changes."""

from twopass.benchmarks.counting import main


def test_a_line_tells_the_microseconds_of_each_number_of_candidates(capsys):
    main(candidates=[1, 12], rounds=3, seed=0)
    *_, head, one, twelve = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "candidates"
    assert [one.split()[0], twelve.split()[0]] == ["1", "12"]
    for line in (one, twelve):
        _, median, least, most = line.split()
        assert 0 < float(least) <= float(median) <= float(most)
