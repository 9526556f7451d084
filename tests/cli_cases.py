"""What the tests of the command line share."""

from fairjax import cli


def run(capsys, *arguments):
    code = cli.main(list(map(str, arguments)))
    found = capsys.readouterr()
    return code, found.out, found.err
